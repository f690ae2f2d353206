// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hal/sniff"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/bar"
)

// onePort serves a platform's devices as hubd -any does and returns the address.
func (p *platform) onePort(tlsOnly bool) string {
	p.t.Helper()
	door, err := mqttd.New(mqttd.Config{Access: p.hub})
	if err != nil {
		p.t.Fatal(err)
	}
	s, err := sniff.New(sniff.Config{MQTT: door, HTTP: p.web.Config.Handler, TLS: hal.ServerTLS(0, certificate(p.t)), Secure: tlsOnly})
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	p.t.Cleanup(func() {
		_, _ = s.Close(), door.Close()
		if err := <-ended; !errors.Is(err, sniff.ErrServerClosed) {
			p.t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// certificate is one that old devices can use.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// over posts through a transport to a base URL.
func (p *platform) over(base string, tr *http.Transport) (proto string, err error) {
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, base+labPost, strings.NewReader(onePost))
	if err != nil {
		return "", err
	}
	r.Header.Set("Password", p.token())
	resp, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text := make([]byte, len(`{"code":0,`))
	if _, err := io.ReadFull(resp.Body, text); err != nil || string(text) != `{"code":0,` {
		p.t.Errorf("%s: answered %s, %v", base, text, err)
	}
	return resp.Proto, nil
}

// anyServer trusts the certificate the test made for itself.
func anyServer() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// TestRow1StaticRSA is row 1 of wire facts section 1: the suites of the SDKs.
func TestRow1StaticRSA(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	addr := p.onePort(false)
	for _, suite := range []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA} {
		cfg := anyServer()
		cfg.MinVersion, cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS10, tls.VersionTLS12, []uint16{suite}
		if _, err := p.over("https://"+addr, &http.Transport{TLSClientConfig: cfg}); err != nil {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
		}
	}
}

// TestRow40HTTP2WithoutALPN is row 40 of wire facts section 1: HTTP/2 is spoken
// inside TLS by who never asked whether it may.
func TestRow40HTTP2WithoutALPN(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	addr := p.onePort(true)
	tr := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&tls.Dialer{Config: anyServer()}).DialContext(ctx, network, addr)
	}}
	tr.Protocols.SetUnencryptedHTTP2(true)
	if proto, err := p.over("http://"+addr, tr); err != nil || proto != "HTTP/2.0" {
		t.Errorf("%s, %v", proto, err)
	}
}

// TestRow43OnePort is row 43 of wire facts section 1: posts and MQTT, plain and
// secured, on one port.
func TestRow43OnePort(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	addr := p.onePort(false)
	for _, base := range []string{"http://", "https://"} {
		if _, err := p.over(base+addr, &http.Transport{TLSClientConfig: anyServer()}); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
	for _, scheme := range []string{"mqtt://", "mqtts://", "ws://", "wss://"} {
		l := login(labSecret)
		l.KeepAlive = time.Minute
		c, err := (&mqtt.Transport{URL: scheme + addr, TLS: anyServer()}).Connect(t.Context(), l, ignore)
		if err != nil {
			t.Errorf("%s: %v", scheme, err)
			continue
		}
		_ = c.Close()
	}
}

// One device, three sessions of different kinds: all are dead at once.
func TestDisabledEverywhere(t *testing.T) {
	bar.Within(t, 100*time.Millisecond, func() time.Duration { return disableEverywhere(t) })
}

// disableEverywhere returns how long after the order one of them was alive.
func disableEverywhere(t *testing.T) time.Duration {
	p := serve(t, hub.NoLimits(), nil)
	token := p.token()
	l := login(labSecret)
	l.KeepAlive = time.Minute
	c, err := mqtt.New("mqtt://"+p.onePort(false)).Connect(t.Context(), l, ignore)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := p.hub.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p.expect("token", p.post(labPost, token, []byte(onePost)), https.CodeToken)
	<-c.Done()
	return time.Since(start)
}

// TestSlowLoris: headers that never end are cut off, and others notice nothing.
func TestSlowLoris(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	web := httptest.NewUnstartedServer(p.web.Config.Handler)
	web.Config.ReadHeaderTimeout = 100 * time.Millisecond
	web.Start()
	defer web.Close()
	var slow []net.Conn
	for range 200 {
		nc, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write([]byte("POST /auth HTTP/1.1\r\nHost: x\r\nX-Slow: ")); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, nc)
	}
	if _, err := p.over(web.URL, &http.Transport{}); err != nil {
		t.Errorf("others: %v", err)
	}
	for _, nc := range slow {
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		for buf := make([]byte, 512); ; {
			if _, err := nc.Read(buf); err != nil {
				if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
					t.Fatal("a slow connection stays open")
				}
				break
			}
		}
	}
}
