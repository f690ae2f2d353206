// SPDX-License-Identifier: Apache-2.0

package mqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doors opens one front door for each kind of URL.
func doors(t *testing.T, a hal.Access) map[string]*mqtt.Transport {
	t.Helper()
	door, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, roots := certificate(t)
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	go door.Serve(plain)
	go door.Serve(secure)
	ws := httptest.NewServer(door.WebSocket())
	wss := httptest.NewUnstartedServer(door.WebSocket())
	wss.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	wss.StartTLS()
	t.Cleanup(func() {
		_ = door.Close()
		ws.Close()
		wss.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	trust := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	return map[string]*mqtt.Transport{
		"tcp":           {URL: "mqtt://" + plain.Addr().String()},
		"tcp, MQTT 3.1": {URL: "tcp://" + plain.Addr().String(), Level: 3},
		"own network":   {URL: "tcp://" + plain.Addr().String(), Net: new(iottest.Faults)},
		"tls":           {URL: "mqtts://" + secure.Addr().String(), TLS: trust},
		"tls, own net":  {URL: "tls://" + secure.Addr().String(), TLS: trust, Net: new(net.Dialer)},
		"ws":            {URL: strings.Replace(ws.URL, "http", "ws", 1) + "/mqtt"},
		"wss":           {URL: strings.Replace(wss.URL, "https", "wss", 1) + "/mqtt", TLS: trust},
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}

func TestEveryURL(t *testing.T) {
	h := iottest.NewHub(t)
	for name, transport := range doors(t, h) {
		t.Run(name, func(t *testing.T) {
			var heard iottest.Recorder[string]
			d := h.Register()
			c := iottest.Connect(t, h, d, device.Config{Transport: transport, Handlers: device.Handlers{
				Services: map[string]device.ServiceFunc{"add": device.Service(func(_ context.Context, in []int) (map[string]int, error) {
					return map[string]int{"Sum": in[0] + in[1]}, nil
				})},
				Message: func(_ context.Context, _ string, p []byte) { heard.Add(string(p)) },
			}})
			ctx := t.Context()
			if err := c.PostProperties(ctx, map[string]int{"a": 1}); err != nil {
				t.Fatal(err)
			}
			a, err := h.InvokeService(ctx, d.ID, "add", []int{2, 3}, hub.CallOptions{})
			if err != nil || string(a.Data) != `{"Sum":5}` {
				t.Errorf("service: %+v, %v", a, err)
			}
			if err := c.Subscribe(ctx, "user/get", 1); err != nil {
				t.Fatal(err)
			}
			if err := c.Subscribe(ctx, "/sys/a/b/#", 1); !errors.Is(err, device.ErrRefusedTopic) {
				t.Errorf("foreign topic: %v", err)
			}
			if _, err := h.Publish(ctx, d.ID, "/"+d.ID.String()+"/user/get", []byte("hi"), hub.SendOptions{QoS: 1}); err != nil {
				t.Fatal(err)
			}
			if _, err := heard.Wait(ctx, func(s string) bool { return s == "hi" }); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	h := iottest.NewHub(t, iottest.WithTCP())
	d := h.Register()
	for name, tt := range map[string]struct {
		login hal.Login
		want  hal.Reason
	}{
		"wrong secret":     {login(d, "wrong", time.Minute), hal.BadCredentials},
		"bad client id":    {hal.Login{ClientID: "x", UserName: "lamp-1&" + d.ID.Product, Password: auth.NewSecret("00")}, hal.BadClientID},
		"malformed name":   {hal.Login{ClientID: "x|a=b|", UserName: "nobody", Password: auth.NewSecret("00")}, hal.BadCredentials},
		"disabled product": {hal.Login{ClientID: "x|signmethod=hmacsha1|", UserName: "a&b", Password: auth.NewSecret("00")}, hal.BadCredentials},
	} {
		_, err := mqtt.New("tcp://"+h.Addr).Connect(t.Context(), tt.login, nil)
		if r, ok := errors.AsType[*hal.RefusedError](err); !ok || r.Reason != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for _, url := range []string{"http://x", "::", ""} {
		if _, err := mqtt.New(url).Connect(t.Context(), hal.Login{}, nil); err == nil {
			t.Errorf("URL %q: no error", url)
		}
	}
}

func login(d hub.Device, secret string, keepAlive time.Duration) hal.Login {
	tr := auth.SignMQTT(d.ID, auth.NewSecret(secret), auth.MQTTOptions{})
	return hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: keepAlive}
}

// TestConnectReturnsWithItsContext dials a server that never answers.
func TestConnectReturnsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = mqtt.New("tcp://"+l.Addr().String()).Connect(ctx, hal.Login{ClientID: "x", KeepAlive: time.Minute}, nil)
	if err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestLostConnection cuts the wire in every direction while messages fly.
func TestLostConnection(t *testing.T) {
	h := iottest.NewHub(t, iottest.WithTCP())
	faults := new(iottest.Faults)
	c := iottest.Connect(t, h, h.Register(), device.Config{
		Transport: &mqtt.Transport{URL: "tcp://" + h.Addr, Net: faults}, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond,
	})
	for i := range 20 {
		if err := c.Report(map[string]any{"n": i}); err != nil {
			t.Fatal(err)
		}
		if i%4 == 3 {
			faults.Cut()
		}
	}
	for c.Waiting() > 0 {
		if err := c.WaitOnline(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if got := h.Values(c.Device())["n"]; got != "19" {
		t.Errorf("last value %s", got)
	}
}

// TestVirtualTime runs Paho and the front door in a bubble: the client's pings
// keep the connection, and a silent one is closed at 1.5 times its keep-alive.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t, iottest.WithLimits(hub.DefaultLimits()))
		c := iottest.Connect(t, h, h.Register(), device.Config{Transport: &mqtt.Transport{URL: "tcp://" + h.Addr, Net: h.Network}})
		time.Sleep(2 * time.Hour)
		if !c.Online() {
			t.Error("two quiet hours cost the connection")
		}
		if got := len(h.Log.All()); got != 1 {
			t.Errorf("%d log entries, want the login alone", got)
		}
		_ = c.Close()
		time.Sleep(time.Minute)
	})
}

func Example() {
	// On a device: where the platform is, and who the device is.
	transport := mqtt.New("tls://iot.example.com:8883")
	c, err := device.New(device.Config{Identity: hal.Identity{}, Transport: transport})
	fmt.Println(c != nil, err)
	_ = c.Close()
	// Output: true <nil>
}
