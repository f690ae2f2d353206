// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
)

// eachWay runs a test with each way to secure a connection.
func eachWay(t *testing.T, f func(t *testing.T, p *platform, tr *coap.Transport)) {
	own := certificate(t)
	roots := x509.NewCertPool()
	roots.AddCert(own.Leaf)
	for name, way := range map[string]func(*platform) *coap.Transport{
		"AES": func(p *platform) *coap.Transport { return coap.New("coap://" + p.plain) },
		"PSK": func(p *platform) *coap.Transport { return coap.New("coaps://" + p.secure) },
		"certificate": func(p *platform) *coap.Transport {
			return &coap.Transport{URL: "coaps://" + p.secure, TLS: &tls.Config{RootCAs: roots}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, hub.NoLimits(), func(cfg *coap.Config) { cfg.Certificates = []tls.Certificate{own} })
			tr := way(p)
			tr.Repeat = 50 * time.Millisecond
			f(t, p, tr)
		})
	}
}

func (p *platform) device(tr hal.Transport, change func(*device.Config)) *device.Client {
	p.t.Helper()
	cfg := device.Config{
		Identity: hal.Identity{Device: lab, DeviceSecret: auth.NewSecret(labSecret)}, Transport: tr,
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := device.New(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// The program of a device does not change, as far as it only speaks.
func TestDeviceOverCoAP(t *testing.T) {
	eachWay(t, func(t *testing.T, p *platform, tr *coap.Transport) {
		c := p.device(tr, nil)
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.PostProperties(t.Context(), map[string]any{"a": 7}); err != nil {
			t.Errorf("post: %v", err)
		}
		if _, err := p.hub.SetDesired(t.Context(), lab, map[string]any{"b": 1}, nil); err != nil {
			t.Fatal(err)
		}
		desired, err := c.DesiredProperties(t.Context(), "b")
		if err != nil || string(desired["b"].Value) != "1" {
			t.Errorf("desired %v, %v", desired, err)
		}
		if _, err := c.Time(t.Context()); err != nil {
			t.Errorf("NTP: %v", err)
		}
		if _, err := c.Shadow(t.Context()); err != nil {
			t.Errorf("shadow: %v", err)
		}
		values, err := p.hub.Properties(t.Context(), lab)
		if err != nil || string(values["a"].Value) != "7" {
			t.Errorf("values %v, %v", values, err)
		}
		err = c.Subscribe(t.Context(), "/a1LabPk00001/lab_dev_01/user/get", 1)
		if !errors.Is(err, coap.ErrNoDownlink) || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("subscribe: %v", err)
		}
	})
}

// A token that is not taken any more ends the connection; the device logs in anew
// and loses no report.
func TestTokenRunsOut(t *testing.T) {
	eachWay(t, func(t *testing.T, p *platform, tr *coap.Transport) {
		c := p.device(tr, nil)
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if err := p.hub.RevokeTokens(t.Context(), lab); err != nil {
				t.Fatal(err)
			}
			if err := c.Report(map[string]any{"n": n}); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(patience); c.Waiting() > 0 && time.Now().Before(end); {
				if err := c.WaitOnline(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if values, err := p.hub.Properties(t.Context(), lab); err != nil || string(values["n"].Value) != "2" {
			t.Errorf("values %v, %v", values, err)
		}
	})
}

// loginFor is a login for MQTT, which is what transports are given.
func loginFor(secret string) hal.Login {
	tr := auth.SignMQTT(lab, auth.NewSecret(secret), auth.MQTTOptions{Timestamp: time.Now()})
	return hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, DeviceSecret: auth.NewSecret(secret)}
}

func ignore(iot.Message) {}

func TestConnectErrors(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	skip := &tls.Config{InsecureSkipVerify: true}
	for name, tt := range map[string]struct {
		url    string
		tls    *tls.Config
		login  hal.Login
		reason hal.Reason
		err    error
	}{
		"wrong secret, AES":         {"coap://" + p.plain, nil, loginFor("guess"), hal.BadCredentials, nil},
		"wrong secret, certificate": {"coaps://" + p.secure, skip, loginFor("guess"), hal.BadCredentials, nil},
		"wrong secret, PSK":         {"coaps://" + p.secure, nil, loginFor("guess"), 0, context.DeadlineExceeded},
		"no secret":                 {"coap://" + p.plain, nil, hal.Login{ClientID: "c|signmethod=hmacsha1|", UserName: "lab_dev_01&a1LabPk00001"}, 0, coap.ErrLogin},
		"a token":                   {"coaps://" + p.secure, skip, hal.Login{ClientID: "c|signmethod=hmacsha1|", UserName: "iotid"}, 0, coap.ErrLogin},
		"no bar":                    {"coaps://" + p.secure, skip, hal.Login{ClientID: "c", UserName: "lab_dev_01&a1LabPk00001"}, 0, coap.ErrLogin},
		"registration":              {"coaps://" + p.secure, skip, hal.Login{ClientID: "c|authType=register|", UserName: "lab_dev_01&a1LabPk00001"}, 0, coap.ErrLogin},
		"unknown authority":         {"coaps://" + p.secure, new(tls.Config), loginFor(labSecret), 0, nil},
		"scheme":                    {"mqtt://" + p.plain, nil, loginFor(labSecret), 0, nil},
		"URL":                       {"coap://%zz", nil, loginFor(labSecret), 0, nil},
		"nobody there":              {"coap://127.0.0.1:1", nil, loginFor(labSecret), 0, nil},
	} {
		wait := patience
		if errors.Is(tt.err, context.DeadlineExceeded) {
			wait = impatience
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		c, err := (&coap.Transport{URL: tt.url, TLS: tt.tls, Repeat: 10 * time.Millisecond}).Connect(ctx, tt.login, ignore)
		cancel()
		if err == nil {
			_ = c.Close()
			t.Errorf("%s: connected", name)
			continue
		}
		refused, ok := errors.AsType[*hal.RefusedError](err)
		if ok != (tt.reason != 0) || ok && refused.Reason != tt.reason || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.hub.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := coap.New("coap://"+p.plain).Connect(t.Context(), loginFor(labSecret), ignore)
	if refused, ok := errors.AsType[*hal.RefusedError](err); !ok || refused.Reason != hal.Unavailable {
		t.Errorf("a hub that stopped: %v", err)
	}
}

func TestPublishErrors(t *testing.T) {
	eachWay(t, func(t *testing.T, p *platform, tr *coap.Transport) {
		tr.Repeat = 10 * time.Millisecond
		c, err := tr.Connect(t.Context(), loginFor(labSecret), ignore)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		code := func(err error) coap.Code {
			e, ok := errors.AsType[*coap.CodeError](err)
			if !ok {
				t.Errorf("%v is no code", err)
				return 0
			}
			return e.Code
		}
		err = c.Publish(t.Context(), iot.Message{Topic: "/sys/other/device/thing/event/property/post", Payload: []byte(onePost)})
		if code(err) != coap.CodeBadRequest {
			t.Errorf("foreign topic: %v", err)
		}
		m := iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update", Payload: make([]byte, 1025)}
		if err := c.Publish(t.Context(), m); code(err) != coap.CodeTooLarge {
			t.Errorf("too large: %v", err)
		}
		m.Payload = make([]byte, 1024)
		if err := c.Publish(t.Context(), m); err != nil {
			t.Errorf("largest: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Publish(ctx, m); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		m.Payload = []byte("x")
		if err := c.Publish(t.Context(), m); err != nil {
			t.Errorf("after all: %v", err)
		}
		if err := p.server.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Publish(t.Context(), m); !errors.Is(err, hal.ErrGone) {
				t.Errorf("server gone: %v", err)
			}
		}
		<-c.Done()
	})
}

// lossy drops datagrams that leave, every other one.
type lossy struct {
	net.Conn
	n *atomic.Int32
}

func (l lossy) Write(b []byte) (int, error) {
	if l.n.Add(1)%2 == 1 {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

type lossyNet struct{ n atomic.Int32 }

func (l *lossyNet) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	return lossy{conn, &l.n}, err
}

// What is lost is sent again, and done once.
func TestRepeats(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	board := new(lossyNet)
	tr := &coap.Transport{URL: "coap://" + p.plain, Net: board, Repeat: time.Millisecond}
	c, err := tr.Connect(t.Context(), loginFor(labSecret), ignore)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 5 {
		if err := c.Publish(t.Context(), iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update", Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.messages(); len(got) != 5 || board.n.Load() < 12 {
		t.Errorf("%d messages with %d datagrams", len(got), board.n.Load())
	}
}

// A publish whose context ends while nobody answers returns at once, and the next
// one hears its own answer.
func TestCancelled(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	c, err := coap.New("coaps://"+p.secure).Connect(t.Context(), loginFor(labSecret), ignore)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update", Payload: []byte("x")}
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Microsecond)
		_ = c.Publish(ctx, m)
		cancel()
		if err := c.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}
