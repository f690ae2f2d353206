// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/internal/mqttwire"
)

// start serves cfg on a TCP port until the test ends.
func start(t *testing.T, cfg mqttd.Config) (*mqttd.Server, string) {
	t.Helper()
	s, err := mqttd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	wait := serve(t, s, l)
	t.Cleanup(func() {
		_ = s.Close()
		wait()
	})
	return s, l.Addr().String()
}

func TestNewWantsAccess(t *testing.T) {
	if _, err := mqttd.New(mqttd.Config{}); err == nil {
		t.Error("New takes a configuration without Access")
	}
}

func TestMaxConns(t *testing.T) {
	a := new(haltest.FakeAccess)
	_, addr := start(t, mqttd.Config{Access: a, MaxConns: 2})
	first, second := dialTCP(t, addr), dialTCP(t, addr)
	first.connect()
	second.connect()
	third := dialTCP(t, addr)
	third.expectEnd()
	first.send(mqttwire.AppendDisconnect(nil))
	first.expectEnd()
	a.Next(t).Closed(t)
	for { // the place becomes free a moment after the session ended
		p := dialTCP(t, addr)
		_, _ = p.Write(connectPacket())
		if _, err := p.r.Next(); err == nil {
			break
		}
	}
}

func TestMaxConnecting(t *testing.T) {
	const most, clients = 3, 20
	var mu sync.Mutex
	now, peak := 0, 0
	release := make(chan struct{})
	a := &haltest.FakeAccess{Decide: func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		mu.Lock()
		now++
		peak = max(peak, now)
		mu.Unlock()
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		return hal.Accepted{Session: s}, nil
	}}
	_, addr := start(t, mqttd.Config{Access: a, MaxConnecting: most})
	var peers []*peer
	for range clients {
		p := dialTCP(t, addr)
		p.send(connectPacket())
		peers = append(peers, p)
	}
	close(release)
	for _, p := range peers {
		p.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	}
	if peak > most {
		t.Errorf("%d calls of Connect at once, want %d at most", peak, most)
	}
}

func TestMaxPacket(t *testing.T) {
	a := new(haltest.FakeAccess)
	_, addr := start(t, mqttd.Config{Access: a, MaxPacket: 1000})
	p := dialTCP(t, addr)
	p.connect()
	s := a.Next(t)
	fits := mqttwire.Publish{Topic: "/a", Payload: make([]byte, 1000-4)}
	p.send(mqttwire.AppendPublish(nil, &fits))
	s.Received(t).Done(nil, nil)
	fits.Payload = append(fits.Payload, 0)
	p.send(mqttwire.AppendPublish(nil, &fits)[:3])
	p.expectEnd()
	if cause := s.Closed(t); cause != hal.CauseProtocol {
		t.Errorf("closed with %q", cause)
	}
}

// TestLargeConnect: 32 KB is what a stranger gets.
func TestLargeConnect(t *testing.T) {
	a := new(haltest.FakeAccess)
	_, addr := start(t, mqttd.Config{Access: a})
	for size, ok := range map[int]bool{30 << 10: true, 33 << 10: false} {
		p := dialTCP(t, addr)
		_, _ = p.Write(mqttwire.AppendConnect(nil, &mqttwire.Connect{
			Level: mqttwire.Level311, HasUserName: true, HasPassword: true, Password: make([]byte, size),
		}))
		if _, err := p.r.Next(); (err == nil) != ok {
			t.Errorf("CONNECT of %d KB: %v", size>>10, err)
		}
	}
}

func TestMaxOut(t *testing.T) {
	a := new(haltest.FakeAccess)
	_, addr := start(t, mqttd.Config{Access: a, MaxOut: 1000})
	a.Decide = func(ctx context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		// Nothing leaves before Connect returns.
		var got []error
		for _, size := range []int{600, 300, 300} {
			d := hal.Delivery{}
			d.Message.Topic, d.Message.Payload = "/down", make([]byte, size)
			var err error
			s.Request.Link.Send(ctx, d, func(e error) { err = e })
			got = append(got, err)
		}
		if got[0] != nil || got[1] != nil || !errors.Is(got[2], hal.ErrFull) {
			t.Errorf("got %v, want the third to be ErrFull", got)
		}
		return hal.Accepted{Session: s}, nil
	}
	p := dialTCP(t, addr)
	p.connect()
	for _, size := range []int{600, 300} {
		got, err := p.r.Next()
		if err != nil || len(got.Body) != size+7 {
			t.Errorf("got %d bytes %v, want %d", len(got.Body), err, size+7)
		}
	}
}

// TestSlowClient: who takes nothing for WriteTimeout is gone.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(haltest.FakeAccess)
		s, err := mqttd.New(mqttd.Config{Access: a, WriteTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ours, theirs := mem.Pipe(8 << 10)
		s.ServeConn(theirs)
		p := newPeer(t, ours)
		p.connect()
		session := a.Next(t)
		start := time.Now()
		done := make(chan error, 1)
		d := hal.Delivery{}
		d.Message.Topic, d.Message.Payload = "/down", make([]byte, 20<<10)
		session.Request.Link.Send(t.Context(), d, func(err error) { done <- err })
		if cause := session.Closed(t); cause != hal.CauseSlow {
			t.Errorf("closed with %q, want %q", cause, hal.CauseSlow)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("closed after %v, want 5s", took)
		}
		if err := <-done; !errors.Is(err, hal.ErrGone) {
			t.Errorf("delivery: %v, want ErrGone", err)
		}
	})
}

// TestKickedClientThatDoesNotRead: last words wait for a second, the session
// does not.
func TestKickedClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(haltest.FakeAccess)
		s, err := mqttd.New(mqttd.Config{Access: a})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := mem.Pipe(8 << 10)
		s.ServeConn(theirs)
		newPeer(t, ours).connect()
		session := a.Next(t)
		d := hal.Delivery{}
		d.Message.Topic, d.Message.Payload = "/down", make([]byte, 20<<10)
		session.Request.Link.Send(t.Context(), d, nil)
		synctest.Wait()
		start := time.Now()
		session.Request.Link.Close(hal.CauseKicked)
		session.Closed(t)
		if took := time.Since(start); took > 0 {
			t.Errorf("session closed after %v", took)
		}
		_ = s.Close()
		if took := time.Since(start); took > time.Second {
			t.Errorf("server closed after %v", took)
		}
	})
}

// TestNoSecretsInLogs: whatever happens to a client, its password is not told.
func TestNoSecretsInLogs(t *testing.T) {
	var log syncBuffer
	refuse := errors.New("set below")
	a := &haltest.FakeAccess{Decide: func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		if refuse == nil {
			panic("by the test")
		}
		return hal.Accepted{Session: s}, refuse
	}}
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, addr := start(t, mqttd.Config{Access: a, Logger: logger})
	for _, refuse = range []error{&hal.RefusedError{Reason: hal.BadCredentials}, nil} {
		p := dialTCP(t, addr)
		p.send(connectPacket())
		for err := error(nil); err == nil; {
			_, err = p.r.Next()
		}
	}
	for _, want := range []string{"client refused", "bad credentials", "panic", "by the test"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log does not say %q:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "s3cret") {
		t.Errorf("log tells the password:\n%s", log.String())
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// flakyListener fails to accept for a while, as without file descriptors.
type flakyListener struct {
	net.Listener
	errs chan error
}

func (l *flakyListener) Accept() (net.Conn, error) { return nil, <-l.errs }
func (l *flakyListener) Close() error              { return nil }

type tempError struct{ error }

func (tempError) Timeout() bool   { return false }
func (tempError) Temporary() bool { return true }

func TestServeRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := mqttd.New(mqttd.Config{Access: new(haltest.FakeAccess)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l := &flakyListener{errs: make(chan error, 20)}
		for range 10 {
			l.errs <- tempError{errors.New("too many open files")}
		}
		l.errs <- io.ErrUnexpectedEOF
		start := time.Now()
		if err := s.Serve(l); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Serve: %v, want the listener's error", err)
		}
		if took := time.Since(start); took < 2*time.Second || took > 5*time.Second {
			t.Errorf("ten errors took %v", took)
		}
	})
}

func TestServeAfterClose(t *testing.T) {
	s, err := mqttd.New(mqttd.Config{Access: new(haltest.FakeAccess)})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	l := listen(t)
	if err := s.Serve(l); !errors.Is(err, mqttd.ErrServerClosed) {
		t.Errorf("Serve: %v, want ErrServerClosed", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestUnixSocket(t *testing.T) {
	s, err := mqttd.New(mqttd.Config{Access: acceptAll{}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "mqtt"))
	if err != nil {
		t.Skip("no unix sockets: ", err)
	}
	wait := serve(t, s, l)
	defer wait()
	defer s.Close()
	nc, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, nc)
	p.connect()
	p.send(mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", QoS: 1, PacketID: 1}))
	p.expect(mqttwire.AppendPuback(nil, 1))
}

// noDeadlines is a transport that cannot do deadlines.
type noDeadlines struct{ net.Conn }

func (noDeadlines) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (noDeadlines) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (noDeadlines) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func TestTransportWithoutDeadlines(t *testing.T) {
	a := new(haltest.FakeAccess)
	s, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []func(){
		func() {},
		func() { _ = s.Shutdown(t.Context()) },
	} {
		ours, theirs := mem.Pipe(8 << 10)
		s.ServeConn(noDeadlines{theirs})
		p := newPeer(t, ours)
		p.connect()
		p.send(mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", QoS: 1, PacketID: 1}))
		session := a.Next(t)
		session.Received(t).Done(nil, nil)
		p.expect(mqttwire.AppendPuback(nil, 1))
		stop()
		session.Request.Link.Close(hal.CauseKicked)
		p.expectEnd()
		session.Closed(t)
	}
}
