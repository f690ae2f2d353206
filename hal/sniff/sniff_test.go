// SPDX-License-Identifier: Apache-2.0

package sniff_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hal/sniff"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// port is one port with everything behind it.
type port struct {
	*mqttd.Server
	sniffer *sniff.Server
	addr    string
	ended   chan struct{}
	dial    func(ctx context.Context, addr string) (net.Conn, error)
}

func open(t *testing.T, a hal.Access, change func(*sniff.Config)) *port {
	t.Helper()
	mq, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		t.Fatal(err)
	}
	cfg := sniff.Config{MQTT: mq, TLS: hal.ServerTLS(0, certificate()), HTTP: http.HandlerFunc(hello)}
	if change != nil {
		change(&cfg)
	}
	s, err := sniff.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{Server: mq, sniffer: s, addr: l.Addr().String(), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		if err := s.Serve(l); !errors.Is(err, sniff.ErrServerClosed) {
			t.Errorf("Serve: %v, want ErrServerClosed", err)
		}
	}()
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// hello says how it was asked.
func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s tls=%v", r.Proto, r.URL.Path, r.TLS != nil)
}

func (p *port) Dial(ctx context.Context) (net.Conn, error) { return p.dial(ctx, p.addr) }

func (p *port) Shutdown(ctx context.Context) error {
	err := p.sniffer.Shutdown(ctx)
	return errors.Join(p.Server.Shutdown(ctx), err)
}

func (p *port) Close() error {
	err := p.sniffer.Close()
	<-p.ended
	return errors.Join(p.Server.Close(), err)
}

var insecure = &tls.Config{InsecureSkipVerify: true}

// TestContract: behind the sniffer, MQTT is what it is without.
func TestContract(t *testing.T) {
	for name, dial := range map[string]func(ctx context.Context, addr string) (net.Conn, error){
		"TCP": func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
		"TLS": func(ctx context.Context, addr string) (net.Conn, error) {
			return (&tls.Dialer{Config: insecure}).DialContext(ctx, "tcp", addr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			haltest.TestFrontDoor(t, func(t *testing.T, a hal.Access) haltest.Door {
				p := open(t, a, func(cfg *sniff.Config) { cfg.Timeout = time.Second })
				p.dial = dial
				return p
			})
		})
	}
}

func TestHTTP(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), nil)
	for _, c := range []struct {
		name, scheme string
		protocols    func(*http.Protocols)
		alpn         []string
		want         string
	}{
		{"HTTP/1.1", "http", func(p *http.Protocols) { p.SetHTTP1(true) }, nil, "HTTP/1.1 /x tls=false"},
		{"HTTPS", "https", func(p *http.Protocols) { p.SetHTTP1(true) }, nil, "HTTP/1.1 /x tls=true"},
		{"HTTP/2 without TLS", "http", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, nil, "HTTP/2.0 /x tls=false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := &http.Transport{TLSClientConfig: insecure, Protocols: new(http.Protocols)}
			c.protocols(tr.Protocols)
			defer tr.CloseIdleConnections()
			if got := get(t, tr, c.scheme+"://"+p.addr+"/x"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestHTTP2InsideTLSWithoutALPN is what iotkit-embedded does.
func TestHTTP2InsideTLSWithoutALPN(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), nil)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&tls.Dialer{Config: insecure}).DialContext(ctx, network, addr)
		},
	}
	defer tr.CloseIdleConnections()
	if got, want := get(t, tr, "http://"+p.addr+"/x"), "HTTP/2.0 /x tls=true"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestALPN: clients that ask for HTTP hear which, others are not refused for what
// they ask.
func TestALPN(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), nil)
	for asked, want := range map[string]string{"h2": "h2", "http/1.1": "http/1.1", "mqtt": "", "x-amzn-mqtt-ca": ""} {
		nc, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{asked}}}).DialContext(t.Context(), "tcp", p.addr)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		if got := nc.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != want {
			t.Errorf("%s: agreed on %q, want %q", asked, got, want)
		}
		_ = nc.Close()
	}
}

func get(t *testing.T, tr *http.Transport, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// connect is an MQTT 3.1.1 CONNECT.
const connect = "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"

func TestWebSocket(t *testing.T) {
	a := new(haltest.FakeAccess)
	p := open(t, a, nil)
	for _, scheme := range []string{"ws", "wss"} {
		d := websocket.Dialer{TLSClientConfig: insecure, Subprotocols: []string{"mqtt"}}
		ws, resp, err := d.DialContext(t.Context(), scheme+"://"+p.addr+"/mqtt", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := ws.Subprotocol(); got != "mqtt" {
			t.Errorf("subprotocol is %q, want mqtt", got)
		}
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte(connect)); err != nil {
			t.Fatal(err)
		}
		_, b, err := ws.ReadMessage()
		if string(b) != "\x20\x02\x00\x00" {
			t.Errorf("got % x %v, want a CONNACK", b, err)
		}
		if secure := a.Next(t).Request.TLS != nil; secure != (scheme == "wss") {
			t.Errorf("%s: TLS is %v", scheme, secure)
		}
		_ = ws.Close()
	}
}

func TestTLSStateReachesThePlatform(t *testing.T) {
	a := new(haltest.FakeAccess)
	p := open(t, a, nil)
	for _, secure := range []bool{false, true} {
		nc, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		if secure {
			nc = tls.Client(nc, insecure)
		}
		expectConnack(t, nc)
		if got := a.Next(t).Request.TLS != nil; got != secure {
			t.Errorf("TLS is %v, want %v", got, secure)
		}
	}
}

func expectConnack(t *testing.T, nc net.Conn) {
	t.Helper()
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := nc.Write([]byte(connect)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != "\x20\x02\x00\x00" {
		t.Errorf("got % x %v, want a CONNACK", b, err)
	}
}

// pskConn is a connection that was secured with a pre-shared key.
type pskConn struct{ net.Conn }

func (pskConn) PSKIdentity() string { return "devicename|hmacsha256|pk&dn|1" }

// TestChoose hands a client that offers no more than old suites to a
// handshake of its own, which finds the ClientHello untouched.
func TestChoose(t *testing.T) {
	a := new(haltest.FakeAccess)
	old := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	p := open(t, a, func(cfg *sniff.Config) {
		cfg.Choose = func(suites []uint16) sniff.Handshake {
			if !slices.Equal(suites, old) {
				return nil
			}
			return func(ctx context.Context, nc net.Conn) (net.Conn, error) {
				c := tls.Server(nc, hal.ServerTLS(0, certificate()))
				return pskConn{c}, c.HandshakeContext(ctx)
			}
		}
	})
	for _, c := range []struct {
		suites []uint16
		want   hal.ConnectRequest
	}{
		{nil, hal.ConnectRequest{}},
		{old, hal.ConnectRequest{Credential: auth.PSK("devicename|hmacsha256|pk&dn|1")}},
	} {
		cfg := insecure.Clone()
		cfg.CipherSuites, cfg.MaxVersion = c.suites, tls.VersionTLS12
		nc, err := tls.Dial("tcp", p.addr, cfg)
		if err != nil {
			t.Fatal(err)
		}
		expectConnack(t, nc)
		if got := a.Next(t).Request.Credential; got != c.want.Credential {
			t.Errorf("credential is %v, want %v", got, c.want.Credential)
		}
	}
}

func TestChooseSeesNoHello(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), func(cfg *sniff.Config) {
		cfg.Choose = func([]uint16) sniff.Handshake {
			t.Error("asked about something that is no ClientHello")
			return nil
		}
	})
	expectEnd(t, p.addr, "\x16\x03\x01\x00\x05hello")
}

// expectEnd sends text and expects the connection to end.
func expectEnd(t *testing.T, addr, text string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, context.DeadlineExceeded) {
		t.Error("connection stays open")
	}
}

func TestNotServed(t *testing.T) {
	web := open(t, new(haltest.FakeAccess), func(cfg *sniff.Config) { cfg.MQTT, cfg.TLS = nil, nil })
	expectEnd(t, web.addr, connect)
	expectEnd(t, web.addr, "\x16\x03\x01\x00\x05hello")
	mqtt := open(t, new(haltest.FakeAccess), func(cfg *sniff.Config) { cfg.HTTP = nil })
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	if got := get(t, tr, "http://"+mqtt.addr+"/"); !strings.Contains(got, "not found") {
		t.Errorf("got %q, want not found", got)
	}
	if _, err := sniff.New(sniff.Config{}); err == nil {
		t.Error("New takes a configuration without anything to serve")
	}
}

func TestSecureTakesNothingPlain(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), func(cfg *sniff.Config) { cfg.Secure = true })
	expectEnd(t, p.addr, connect)
	expectEnd(t, p.addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	tr := &http.Transport{TLSClientConfig: insecure}
	defer tr.CloseIdleConnections()
	if got := get(t, tr, "https://"+p.addr+"/"); !strings.Contains(got, "HTTP/1.1") {
		t.Errorf("got %q over TLS", got)
	}
}

func TestJunkEnds(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), nil)
	for _, junk := range []string{"\x00\x01\x02", "get / http/1.1\r\n\r\n", "\xff"} {
		expectEnd(t, p.addr, junk)
	}
}

// TestSilence: connections that say nothing end, in front of TLS and inside.
func TestSilence(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), func(cfg *sniff.Config) { cfg.Timeout = 50 * time.Millisecond })
	expectEnd(t, p.addr, "")
	expectEnd(t, p.addr, "\x16\x03")
	nc, err := tls.Dial("tcp", p.addr, insecure)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent TLS connection: %v, want its end", err)
	}
}

func TestMaxWaiting(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), func(cfg *sniff.Config) { cfg.MaxWaiting = 1 })
	silent, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	late, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	_ = silent.SetReadDeadline(time.Now().Add(5 * time.Second)) // less than it would have alone
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the silent one: %v, want its end", err)
	}
	expectConnack(t, late)
}

// TestMaxWeb: of too many connections those go that do nothing, and drip their
// headers, not those that are served.
func TestMaxWeb(t *testing.T) {
	served, release := make(chan struct{}, 10), make(chan struct{})
	p := open(t, new(haltest.FakeAccess), func(cfg *sniff.Config) {
		cfg.MaxWeb = 3
		cfg.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if served <- struct{}{}; r.URL.Path == "/long" {
				<-release
			}
		})
	})
	dial := func(request string) net.Conn {
		nc, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(5 * time.Second)) // less than they would have alone
		if _, err := io.WriteString(nc, request); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	answered := func(nc net.Conn) error {
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	long := dial("GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
	<-served
	drip := dial("GET / HTTP/1.1\r\nHost: ")
	time.Sleep(10 * time.Millisecond) // it is to be the older one
	idle := dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-served
	if err := answered(idle); err != nil {
		t.Fatal(err)
	}
	for _, loser := range []net.Conn{drip, idle} {
		time.Sleep(10 * time.Millisecond)
		fresh := dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-served
		if err := answered(fresh); err != nil {
			t.Errorf("one more: %v", err)
		}
		if _, err := loser.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one too many: %v, want its end", err)
		}
	}
	close(release)
	if err := answered(long); err != nil {
		t.Errorf("the one that was served: %v", err)
	}
}

func TestClose(t *testing.T) {
	p := open(t, new(haltest.FakeAccess), nil)
	silent, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	expectConnack(t, mustDial(t, p.addr))
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("undecided connection survives")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.sniffer.Serve(l); !errors.Is(err, sniff.ErrServerClosed) {
		t.Errorf("Serve after Close: %v", err)
	}
}

func mustDial(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}
