// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/iottest"
)

// framed is a protocol of tests: two bytes of length, then text. "login X" opens a
// session, "panic" panics, everything else is posted and echoed.
type framed struct{}

func (framed) Decode(buf []byte) (any, int, error) {
	if len(buf) < 2 {
		return nil, 0, nil
	}
	n := 2 + int(binary.BigEndian.Uint16(buf))
	if len(buf) < n {
		return nil, 0, nil
	}
	if n > 2 && buf[2] == '!' {
		return nil, 0, errors.New("wrong checksum")
	}
	return string(buf[2:n]), n, nil
}

func (framed) Append(dst []byte, m any) ([]byte, error) {
	text := fmt.Sprint(m)
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(text))), text...), nil
}

func frame(text string) []byte { b, _ := framed{}.Append(nil, text); return b }

func serveFramed(ctx context.Context, c *bridge.Conn, m any) error {
	text := m.(string)
	if id, ok := strings.CutPrefix(text, "login "); ok {
		_, err := c.Online(ctx, id, bridge.SessionOptions{})
		if err != nil {
			return err
		}
		return c.Send(ctx, "in")
	}
	if text == "panic" {
		panic("at the wrong moment")
	}
	if err := c.Publish(ctx, bridge.Properties(map[string]any{"T": text})).Wait(ctx); err != nil {
		return c.Send(ctx, "dropped")
	}
	return c.Send(ctx, text)
}

func newServer(t testing.TB, h *iottest.Hub, ids bridge.Map, change func(*bridge.Server)) *bridge.Server {
	t.Helper()
	b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids})
	s := &bridge.Server{
		Bridge: b, Handler: bridge.HandlerFunc(serveFramed), Address: "127.0.0.1", Ports: []int{0, 0}, Backlog: 64,
		Decoder: func() bridge.Decoder { return framed{} }, Encoder: func() bridge.Encoder { return framed{} },
	}
	if change != nil {
		change(s)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// peer is a device at the other end of a socket.
type peer struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, s *bridge.Server, port int) *peer {
	t.Helper()
	addr := s.Addrs()[port]
	nc, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &peer{nc, t}
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) read() (string, error) {
	if _, isUDP := p.Conn.(*net.UDPConn); isUDP {
		b := make([]byte, 1000)
		n, err := p.Read(b)
		return string(b[min(2, n):n]), err
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(p, head); err != nil {
		return "", err
	}
	body := make([]byte, binary.BigEndian.Uint16(head))
	_, err := io.ReadFull(p, body)
	return string(body), err
}

func (p *peer) want(text string) {
	p.t.Helper()
	if got, err := p.read(); err != nil || got != text {
		p.t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

func (p *peer) wantEnd() {
	p.t.Helper()
	if got, err := p.read(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("read %q, %v, want the end", got, err)
	}
}

// However bytes arrive, messages come out whole and in order; what is wrong ends
// its own connection only.
func TestFraming(t *testing.T) {
	h := iottest.NewHub(t)
	s := newServer(t, h, devices(t, h, 10), nil)
	other := dial(t, s, 1)
	other.send(frame("login 9"))
	other.want("in")

	halves := dial(t, s, 0)
	for _, b := range frame("login 0") { // one byte at a time
		halves.send([]byte{b})
	}
	halves.want("in")
	glued := bytes.Join([][]byte{frame("a"), frame("b"), frame(strings.Repeat("c", 700)), frame("ddd")[:3]}, nil)
	halves.send(glued)
	halves.want("a")
	halves.want("b")
	halves.want(strings.Repeat("c", 700))
	halves.send(append(frame("ddd")[3:], frame("e")...)) // the rest
	halves.want("ddd")
	halves.want("e")

	for i, bad := range [][]byte{frame("!"), frame("panic"), append([]byte{0xff, 0xff}, make([]byte, 70_000)...)} {
		p := dial(t, s, 0)
		p.send(frame(fmt.Sprint("login ", i+1)))
		p.want("in")
		if _, err := p.Write(bad); err != nil {
			continue // closed already
		}
		p.wantEnd()
	}
	other.send(frame("still here"))
	other.want("still here")
}

// Two sockets with one identity: the later one has it, the earlier is closed; a
// socket cannot change its identity.
func TestIdentityTheft(t *testing.T) {
	h := iottest.NewHub(t)
	s := newServer(t, h, devices(t, h, 3), nil)
	one, two, three := dial(t, s, 0), dial(t, s, 0), dial(t, s, 1)
	one.send(frame("login 0"))
	one.want("in")
	two.send(frame("login 1"))
	two.want("in")
	three.send(frame("login 0"))
	three.want("in")
	one.wantEnd()
	two.send(frame("login 0")) // over the connection of 1
	two.wantEnd()
	three.send(frame("mine"))
	three.want("mine")
	eventually(t, "one session is left", func() bool { return s.Bridge.Stats().Sessions == 1 })
}

func TestUnmappedAndOffline(t *testing.T) {
	h := iottest.NewHub(t)
	s := newServer(t, h, devices(t, h, 1), nil)
	p := dial(t, s, 0)
	p.send(frame("too early"))
	p.want("dropped")
	p.send(frame("login nobody"))
	p.wantEnd()
	if st := s.Bridge.Stats(); st.Dropped != 1 {
		t.Errorf("%+v", st)
	}
}

// pipes is a listener inside the process, so that time may be virtual.
type pipes struct {
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-p.in:
		return nc, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// servePipes is newServer over pipes, and how to connect to it.
func servePipes(t *testing.T, h *iottest.Hub, ids bridge.Map, s *bridge.Server) (dial func() *peer) {
	t.Helper()
	s.Bridge = newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids})
	s.Handler = bridge.HandlerFunc(serveFramed)
	s.Decoder, s.Encoder = func() bridge.Decoder { return framed{} }, func() bridge.Encoder { return framed{} }
	l := &pipes{in: make(chan net.Conn), done: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-served); !errors.Is(err, bridge.ErrClosed) {
			t.Errorf("served: %v", err)
		}
	})
	return func() *peer {
		device, server := net.Pipe()
		t.Cleanup(func() { _ = device.Close() })
		l.in <- server
		return &peer{device, t}
	}
}

// One that floods is slowed to its rate; the others notice nothing.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		dial := servePipes(t, h, devices(t, h, 2), &bridge.Server{MaxRate: 50})
		flood, other := dial(), dial()
		other.send(frame("login 1"))
		other.want("in")
		flood.send(frame("login 0"))
		flood.want("in")
		start := time.Now()
		go func() {
			for i := range 120 {
				flood.send(frame(fmt.Sprint(i)))
			}
		}()
		for i := range 40 {
			flood.want(fmt.Sprint(i))
		}
		other.send(frame("hello"))
		other.want("hello")
		if d := time.Since(start); d != 0 {
			t.Errorf("the other waited %v", d)
		}
		for i := range 80 {
			flood.want(fmt.Sprint(40 + i))
		}
		if d := time.Since(start); d < time.Second || d > 2*time.Second {
			t.Errorf("120 messages took %v at 50 a second", d)
		}
	})
}

func TestTooManyAndIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		dial := servePipes(t, h, devices(t, h, 2), &bridge.Server{MaxConns: 2, IdleTimeout: 5 * time.Minute, LoginTimeout: time.Minute})
		start := time.Now()
		stranger, idle := dial(), dial()
		idle.send(frame("login 0"))
		idle.want("in")
		ended := func(name string, p *peer, want time.Duration) {
			t.Helper()
			p.wantEnd()
			if d := time.Since(start).Round(time.Second); d != want { // a login takes a little
				t.Errorf("%s ended after %v", name, d)
			}
		}
		ended("the third", dial(), 0)
		ended("the stranger", stranger, time.Minute)
		ended("the idle one", idle, 5*time.Minute)
		eventually(t, "logged out", func() bool { return h.Connected() == 1 })
	})
}

func TestServerTLS(t *testing.T) {
	h := iottest.NewHub(t)
	cert := selfSigned(t)
	s := newServer(t, h, devices(t, h, 1), func(s *bridge.Server) { s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	nc, err := tls.Dial("tcp", s.Addrs()[0].String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{nc, t}
	defer nc.Close()
	p.send(frame("login 0"))
	p.want("in")
}

// With UDP a session follows the device to a new address.
func TestPackets(t *testing.T) {
	h := iottest.NewHub(t)
	s := newServer(t, h, devices(t, h, 2), func(s *bridge.Server) { s.ListenType, s.MaxRate = bridge.UDP, 10 })
	one, two := dial(t, s, 0), dial(t, s, 0)
	one.send(frame("login 0"))
	one.want("in")
	one.send(frame("a"))
	one.want("a")
	one.send(frame("bcd")[:3]) // half a packet is dropped
	two.send(frame("login 0"))
	two.want("in")
	two.send(frame("b"))
	two.want("b")
	if st := s.Bridge.Stats(); st.Sessions != 1 || st.Sent != 2 {
		t.Errorf("%+v", st)
	}
	for range 200 {
		two.send(frame("x"))
	}
	eventually(t, "packets are dropped", func() bool { return s.Dropped() > 0 })
	if s.Conns() != 1 {
		t.Errorf("%d addresses", s.Conns())
	}
}

// What is longer than MaxMessage is dropped, not cut.
func TestLongPacket(t *testing.T) {
	h := iottest.NewHub(t)
	got := make(chan int, 10)
	s := newServer(t, h, devices(t, h, 1), func(s *bridge.Server) {
		s.ListenType, s.MaxMessage, s.Decoder, s.Encoder = bridge.UDP, 100, nil, nil
		s.Handler = bridge.HandlerFunc(func(_ context.Context, _ *bridge.Conn, m any) error {
			got <- len(m.([]byte))
			return nil
		})
	})
	p := dial(t, s, 0)
	p.send(make([]byte, 101))
	p.send(make([]byte, 100))
	if n := <-got; n != 100 || s.Dropped() != 1 {
		t.Errorf("%d bytes arrived, %d packets dropped", n, s.Dropped())
	}
}

// The devices of a socket that is gone are offline.
func TestPacketSocketLost(t *testing.T) {
	h := iottest.NewHub(t)
	s := newServer(t, h, devices(t, h, 1), func(s *bridge.Server) { s.ListenType = bridge.UDP })
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServePacket(pc) }()
	nc, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p := &peer{nc, t}
	p.send(frame("login 0"))
	p.want("in")
	session, ok := s.Bridge.Session("0")
	if !ok {
		t.Fatal("no session")
	}
	_ = pc.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("served: %v", err)
	}
	if s.Conns() != 0 || session.Cause() == nil {
		t.Errorf("%d addresses, session %v", s.Conns(), session.Cause())
	}
}

// A connection whose session was replaced does not post for the newer one, and one
// that ends for no reason has a cause all the same.
func TestAfterTheSession(t *testing.T) {
	h := iottest.NewHub(t)
	result, begun, replaced := make(chan error, 1), make(chan struct{}), make(chan struct{})
	s := newServer(t, h, devices(t, h, 1), func(s *bridge.Server) {
		s.Handler = bridge.HandlerFunc(func(ctx context.Context, c *bridge.Conn, m any) error {
			switch m {
			case "slow":
				close(begun)
				<-replaced
				result <- c.Publish(context.Background(), value(1)).Wait(context.Background())
				return nil
			case "bye":
				c.Close(nil)
				return nil
			}
			return serveFramed(ctx, c, m)
		})
	})
	one, two := dial(t, s, 0), dial(t, s, 0)
	one.send(frame("login 0"))
	one.want("in")
	one.send(frame("slow"))
	<-begun
	two.send(frame("login 0"))
	two.want("in")
	close(replaced)
	if err := <-result; !errors.Is(err, bridge.ErrReplaced) {
		t.Errorf("the earlier one posts: %v", err)
	}
	session, _ := s.Bridge.Session("0")
	two.send(frame("bye"))
	two.wantEnd()
	<-session.Done()
	if !errors.Is(session.Cause(), bridge.ErrOffline) {
		t.Errorf("ended with %v", session.Cause())
	}
}

// A device that does not read is not waited for for long.
func TestSlowReader(t *testing.T) {
	h := iottest.NewHub(t)
	s := newServer(t, h, devices(t, h, 1), func(s *bridge.Server) { s.WriteTimeout = 300 * time.Millisecond })
	p := dial(t, s, 0)
	p.send(frame("login 0"))
	p.want("in")
	session, ok := s.Bridge.Session("0")
	if !ok {
		t.Fatal("no session")
	}
	big := strings.Repeat("x", 60_000)
	var err error
	for range 1000 {
		if err = session.Channel().Send(t.Context(), big); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("60 MB were taken by nobody")
	}
	<-session.Done()
}

func TestServerConfig(t *testing.T) {
	b := &bridge.Bridge{}
	f := bridge.HandlerFunc(serveFramed)
	for name, s := range map[string]*bridge.Server{
		"nothing":         {},
		"no such type":    {Bridge: b, Handler: f, ListenType: "sctp"},
		"TLS on UDP":      {Bridge: b, Handler: f, ListenType: bridge.UDP, TLS: &tls.Config{}},
		"unicast of all":  {Bridge: b, Handler: f, ListenType: bridge.UDP, UnicastOnly: true},
		"no such address": {Bridge: b, Handler: f, Address: "203.0.113.7", Ports: []int{0}},
	} {
		if err := s.Listen(t.Context()); err == nil {
			t.Errorf("%s: listens", name)
			_ = s.Close()
		}
	}
	s := &bridge.Server{Bridge: b, Handler: f, Address: "lo", Ports: []int{0}}
	if err := s.Listen(t.Context()); err != nil || !strings.HasPrefix(s.Addrs()[0].String(), "127.0.0.1:") {
		t.Errorf("%v %v", s.Addrs(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A function of bufio cuts as its Scanner would.
func TestSplit(t *testing.T) {
	const stream = "one\r\n\nthree\nhal"
	for step := 1; step <= len(stream); step++ {
		d := bridge.Split(bufio.ScanLines)()
		var got []string
		var buf []byte
		for rest := []byte(stream); len(rest) > 0; {
			n := min(step, len(rest))
			buf, rest = append(buf, rest[:n]...), rest[n:]
			for len(buf) > 0 {
				m, taken, err := d.Decode(buf)
				if err != nil {
					t.Fatal(err)
				}
				if taken == 0 {
					break
				}
				b, _ := m.([]byte)
				clear(buf[:taken]) // the message is a copy
				got = append(got, string(b))
				buf = buf[taken:]
			}
		}
		if fmt.Sprintf("%q", got) != `["one" "" "three"]` {
			t.Errorf("in steps of %d: %q", step, got)
		}
	}
	if _, n, err := bridge.Split(bufio.ScanWords)().Decode([]byte("  ")); n != 2 || err != nil {
		t.Errorf("blanks: %d, %v", n, err)
	}
}

// packets is a socket that has what it is given.
type packets struct {
	net.PacketConn
	in chan packet
}

type packet struct {
	from string
	n    int
}

func (p *packets) SetReadDeadline(time.Time) error { return nil }

func (p *packets) ReadFrom(b []byte) (int, net.Addr, error) {
	got, ok := <-p.in
	if !ok {
		return 0, nil, net.ErrClosed
	}
	return got.n, &net.UnixAddr{Name: got.from}, nil
}

// Packets that wait for handlers are bounded over all addresses together.
func TestPacketsWaiting(t *testing.T) {
	h := iottest.NewHub(t)
	hold, handled := make(chan struct{}), make(chan struct{}, 400)
	s := newServer(t, h, devices(t, h, 1), func(s *bridge.Server) {
		s.Decoder, s.Encoder = nil, nil
		s.Handler = bridge.HandlerFunc(func(_ context.Context, c *bridge.Conn, m any) error {
			<-hold
			handled <- struct{}{}
			if len(m.([]byte)) == 1 {
				panic("at the wrong moment")
			}
			return nil
		})
	})
	pc := &packets{in: make(chan packet)}
	served := make(chan error, 1)
	go func() { served <- s.ServePacket(pc) }()
	const addresses, each, size = 30, 15, 60_000
	for i := range addresses {
		for range each {
			pc.in <- packet{fmt.Sprint(i), size}
		}
	}
	pc.in <- packet{"0", 1}
	bound := 16<<20/size + addresses // and one of each address in its handler
	if d := int(s.Dropped()); d < addresses*each-bound || d > addresses*each-bound+addresses+1 {
		t.Errorf("%d of %d packets dropped, about %d may wait", d, addresses*each, bound)
	}
	close(hold)
	dropped := int(s.Dropped())
	for range addresses*each + 1 - dropped {
		<-handled
	}
	for i := range 280 { // there is room again for as many
		pc.in <- packet{fmt.Sprint("new ", i), size}
		<-handled
	}
	if d := int(s.Dropped()); d != dropped {
		t.Errorf("%d more dropped", d-dropped)
	}
	pc.in <- packet{"new 0", 0} // nothing stops at an empty one
	pc.in <- packet{"new 0", size}
	<-handled
	close(pc.in)
	<-served
}
