// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hub"
)

func TestNewServerWithoutPlatform(t *testing.T) {
	if _, err := coap.NewServer(coap.Config{}); err == nil {
		t.Error("no platform")
	}
}

// shutting is a server of which a request is in progress.
func shutting(t *testing.T) (server *coap.Server, flight haltest.Flight, sent chan error) {
	t.Helper()
	access, before := new(haltest.FakeAccess), new(sync.Mutex)
	s, plain, _ := listen(t, coap.Config{Platform: onlyAccess{access, before}, Cleartext: true})
	d := door{t, s, func() (net.Conn, error) { return net.Dial("udp", plain) }, before}
	sent = make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := d.Post(ctx, "token", "/a/b/c", []byte("x"))
		sent <- err
	}()
	return s, access.Next(t).Received(t), sent
}

// What is in progress is answered before the end.
func TestShutdownDrains(t *testing.T) {
	s, flight, sent := shutting(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(t.Context()) }()
	select {
	case err := <-ended:
		t.Fatalf("shut down before the answer: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	flight.Done([]iot.Message{{Payload: []byte("{}")}}, nil)
	if err := <-sent; err != nil {
		t.Errorf("answered %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := s.Serve(socket(t)); !errors.Is(err, coap.ErrServerClosed) {
		t.Errorf("serves again: %v", err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	s, flight, sent := shutting(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	flight.Done(nil, nil) // late
	<-sent
}

func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestDualStack: sockets of both families see IPv4 addresses in another form.
func TestDualStack(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	for _, serve := range []func(*net.UDPConn) error{p.server.Serve, p.server.ServeDTLS} {
		conn := socket(t)
		addr := net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: conn.LocalAddr().(*net.UDPAddr).Port}
		ended := make(chan error, 1)
		go func() { ended <- serve(conn) }()
		t.Cleanup(func() {
			_ = p.server.Close()
			<-ended
		})
		p.plain, p.secure = p.secure, addr.String()
	}
	s := p.speak(p.plain)
	expect(t, "AES", s.ask(s.symmetric(labSecret, lab).post(labPost, []byte(onePost))), coap.CodeContent)
	dialPSK(t, p.secure).logsInAndPosts("DTLS")
}

// Strangers without DTLS leave room for those who have a session.
func TestRequestsAreBounded(t *testing.T) {
	access, before := new(haltest.FakeAccess), new(sync.Mutex)
	_, plain, secure := listen(t, coap.Config{Platform: onlyAccess{access, before}, Cleartext: true, MaxRequests: 4})
	var held []haltest.Flight
	for i := range 5 {
		m := post("/topic/a/b/c", "token", []byte("x"))
		m.id = uint16(i)
		if _, err := newSpeaker(t, plain).conn.Write(m.bytes()); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			held = append(held, access.Next(t).Received(t))
		}
	}
	s := dialPSK(t, secure)
	if _, err := s.conn.Write(post("/topic/a/b/c", "token", []byte("y")).bytes()); err != nil {
		t.Fatal(err)
	}
	flight := access.Next(t).Received(t)
	if string(flight.Copy.Payload) != "y" {
		t.Errorf("%q went through", flight.Copy.Payload)
	}
	for _, f := range append(held, flight) {
		f.Done(nil, nil)
	}
	s.receive()
}

// A client that repeats itself while its answer is on the way changes nothing.
func TestRepeatedWhileInProgress(t *testing.T) {
	access, before := new(haltest.FakeAccess), new(sync.Mutex)
	_, plain, _ := listen(t, coap.Config{Platform: onlyAccess{access, before}, Cleartext: true})
	s := newSpeaker(t, plain)
	m := post("/topic/a/b/c", "token", []byte("x"))
	m.id = 77
	for range 3 {
		if _, err := s.conn.Write(m.bytes()); err != nil {
			t.Fatal(err)
		}
	}
	session := access.Next(t)
	session.Received(t).Done([]iot.Message{{Payload: []byte("{}")}}, nil)
	if a := s.receive(); a.id != 77 || string(a.payload) != "{}" {
		t.Errorf("answer %+v", a)
	}
	if again := s.send(m); again.id != 77 || string(again.payload) != "{}" {
		t.Errorf("again %+v", again)
	}
	if access.Asked() > 0 || session.Waiting() > 0 {
		t.Error("done more than once")
	}
}

// A small device that was restarted begins at the same port with the same numbers.
// Its messages are no repeats of those it sent before.
func TestRestartedDeviceCountsAnew(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := p.speak(p.plain)
	const path = "/topic/a1LabPk00001/lab_dev_01/user/update"
	for _, text := range []string{"one", "two", "three"} {
		s.id = 0
		l := s.symmetricAs(text, labSecret, lab)
		m := l.post(path, []byte(text))
		expect(t, text, s.ask(m), coap.CodeContent)
		m.id = s.id
		expect(t, text+" repeated", s.send(m), coap.CodeContent)
	}
	if got := p.messages(); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("kept %q", got)
	}
}

// What can be no request is not answered, whatever its code says.
func TestAcknowledgementsAreNoRequests(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := p.speak(p.plain)
	m := post("/auth", "", []byte(signed(labSecret, lab)))
	for _, m.typ = range []byte{ack, rst} {
		if _, err := s.conn.Write(m.bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if a := s.send(message{id: 9}); a.typ != rst || a.id != 9 {
		t.Errorf("answered %+v", a)
	}
}

var _ hal.Keys = (*hub.Hub)(nil)
