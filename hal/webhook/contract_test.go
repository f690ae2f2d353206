// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/webhook"
)

// What of the contract of front doors holds behind a broker, with a fake platform.

// bench is a fake platform behind a broker.
type bench struct {
	*testing.T
	a      *haltest.FakeAccess
	hook   *webhook.Server
	broker *broker
	up     chan struct{}
	stop   func()
}

func newBench(t *testing.T, setup func(*haltest.FakeSession)) *bench {
	t.Helper()
	b := &bench{T: t, a: new(haltest.FakeAccess), up: make(chan struct{}, 64)}
	if setup != nil {
		b.a.Decide = func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
			setup(s)
			return hal.Accepted{Session: s}, nil
		}
	}
	var p poster
	b.hook, p = newHook(t, webhook.Config{Access: b.a})
	b.broker = newBroker(t, emqxAsker{p})
	b.consume()
	return b
}

func (b *bench) consume() {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = b.hook.Consume(ctx, webhook.Consumer{
			URL: "mqtt://" + b.broker.addr, UserName: "platform", Password: services["platform"],
			Subscribed: func() { b.up <- struct{}{} },
		})
	}()
	b.stop = func() { cancel(); <-ended }
	b.Cleanup(b.stop)
	wait(b.T, b.up, "the consumer")
}

// device connects a device by name, subscribed to everything of its own.
func (b *bench) device(name string) (hal.Conn, *haltest.FakeSession, chan iot.Message) {
	b.Helper()
	heard := make(chan iot.Message, 4096)
	conn, err := mqtt.New("tcp://"+b.broker.addr).Connect(b.Context(), hal.Login{
		ClientID: name + "|securemode=3|", UserName: name + "&a1product", Password: auth.NewSecret("x"), KeepAlive: time.Minute, CleanSession: true,
	}, func(m iot.Message) { heard <- m })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	s := b.a.Next(b.T)
	if _, err := conn.(hal.SubscribingConn).Subscribe(b.Context(), []hal.Filter{{Topic: sys(name, "down/#"), QoS: 1}}); err != nil {
		b.Fatal(err)
	}
	if s.OnSubscribe == nil {
		s.Changed(b.T)
	}
	return conn, s, heard
}

func sys(name, path string) string { return "/sys/a1product/" + name + "/" + path }

func (b *bench) post(conn hal.Conn, name, payload string) {
	b.Helper()
	if err := conn.Publish(b.Context(), iot.Message{Topic: sys(name, "up"), Payload: []byte(payload), QoS: 1}); err != nil {
		b.Error(err)
	}
}

// TestOrder: each device's messages arrive in its order, many devices at once.
func TestOrder(t *testing.T) {
	b := newBench(t, nil)
	const devices, each = 8, 100
	var all sync.WaitGroup
	for d := range devices {
		name := fmt.Sprint("device-", d)
		conn, s, _ := b.device(name)
		all.Go(func() {
			for i := range each {
				b.post(conn, name, fmt.Sprint(i))
			}
		})
		all.Go(func() {
			for i := range each {
				f := s.Received(b)
				if string(f.Copy.Payload) != fmt.Sprint(i) || f.Copy.Topic != sys(name, "up") || f.Copy.QoS != 1 {
					t.Errorf("%s: got %+v, want %d", name, f.Copy, i)
				}
				f.Done(nil, nil)
			}
		})
	}
	all.Wait()
	b.settled()
}

// settled waits until the broker has an acknowledgement for everything.
func (b *bench) settled() {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); b.broker.pending("openalink") > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d messages stay unacknowledged", b.broker.pending("openalink"))
		}
	}
}

// TestAckAfterDone: the broker keeps a message until it is durable; a rejected one
// is done too.
func TestAckAfterDone(t *testing.T) {
	b := newBench(t, nil)
	conn, s, _ := b.device("lamp")
	b.post(conn, "lamp", "1")
	b.post(conn, "lamp", "2")
	first, second := s.Received(t), s.Received(t)
	if n := b.broker.pending("openalink"); n != 2 {
		t.Errorf("%d messages are kept by the broker, want 2", n)
	}
	second.Done(nil, &hal.RejectedError{Err: errors.New("not yours")})
	first.Done(nil, nil)
	b.settled()
}

// TestNotKept: what was not kept comes again, with what was behind it.
func TestNotKept(t *testing.T) {
	b := newBench(t, nil)
	conn, s, _ := b.device("lamp")
	for _, text := range []string{"1", "2", "3"} {
		b.post(conn, "lamp", text)
	}
	first, second, third := s.Received(t), s.Received(t), s.Received(t)
	first.Done(nil, nil)
	second.Done(nil, errors.New("disk full"))
	wait(t, b.up, "the consumer, again")
	for _, want := range []string{"2", "3"} {
		f := s.Received(t)
		if string(f.Copy.Payload) != want {
			t.Errorf("got %s again, want %s", f.Copy.Payload, want)
		}
		f.Done(nil, nil)
	}
	third.Done(nil, nil) // too late: its acknowledgement has nobody to go to
	b.settled()
}

// TestAnswers leave as publications, in the order of their messages.
func TestAnswers(t *testing.T) {
	b := newBench(t, func(s *haltest.FakeSession) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			done([]iot.Message{{Topic: sys("lamp", "down/reply"), Payload: m.Payload, QoS: 1}, {Topic: "no/+/topic"}}, nil)
		}
	})
	conn, _, heard := b.device("lamp")
	for i := range 100 {
		b.post(conn, "lamp", fmt.Sprint(i))
	}
	for i := range 100 {
		if m := wait(t, heard, "an answer"); string(m.Payload) != fmt.Sprint(i) || m.QoS != 0 {
			t.Fatalf("got %+v, want %d", m, i)
		}
	}
}

// TestOneSlowSession holds up nobody else.
func TestOneSlowSession(t *testing.T) {
	release := make(chan struct{})
	b := newBench(t, func(s *haltest.FakeSession) {
		if s.Request.UserName == "slow&a1product" {
			s.OnReceive = func(ctx context.Context, _ iot.Message, done func([]iot.Message, error)) {
				select {
				case <-release:
				case <-ctx.Done():
				}
				done(nil, nil)
			}
		}
	})
	slow, _, _ := b.device("slow")
	quick, s, _ := b.device("quick")
	for i := range 50 {
		b.post(slow, "slow", fmt.Sprint(i))
	}
	b.post(quick, "quick", "now")
	s.Received(t).Done(nil, nil)
	close(release)
	b.settled()
}

// TestFloodAtQoS0 is dropped beyond what may wait for one session, and counted.
func TestFloodAtQoS0(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 4096)
	b := newBench(t, func(s *haltest.FakeSession) {
		s.OnReceive = func(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
			entered <- struct{}{}
			<-release
			done(nil, nil)
		}
	})
	conn, _, _ := b.device("lamp")
	const n = 1000
	for range n {
		if err := conn.Publish(t.Context(), iot.Message{Topic: sys("lamp", "up")}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); b.hook.Dropped() < n-300; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d dropped", b.hook.Dropped(), n)
		}
	}
	close(release)
	// Each is heard or counted.
	for got, deadline := 0, time.Now().Add(20*time.Second); got+int(b.hook.Dropped()) < n; {
		select {
		case <-entered:
			got++
		case <-time.After(time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatalf("%d heard, %d dropped, of %d", got, b.hook.Dropped(), n)
			}
		}
	}
}

func send(s *haltest.FakeSession, m iot.Message) <-chan error {
	done := make(chan error, 2)
	d := hal.Delivery{Message: m}
	if m.QoS > 0 {
		d.PacketID = 1
	}
	s.Request.Link.Send(context.Background(), d, func(err error) { done <- err })
	return done
}

func TestDeliver(t *testing.T) {
	b := newBench(t, nil)
	conn, s, heard := b.device("lamp")
	payload := []byte("first")
	first := send(s, iot.Message{Topic: sys("lamp", "down/x"), Payload: payload, QoS: 1})
	copy(payload, "spoil")
	var dones []<-chan error
	for i := range 200 {
		dones = append(dones, send(s, iot.Message{Topic: sys("lamp", "down/x"), Payload: fmt.Append(nil, i), QoS: iot.QoS(i % 2)}))
	}
	if m := wait(t, heard, "a delivery"); string(m.Payload) != "first" {
		t.Errorf("got %s", m.Payload)
	}
	for i := range dones {
		if m := wait(t, heard, "a delivery"); string(m.Payload) != fmt.Sprint(i) || m.QoS != iot.QoS(i%2) {
			t.Fatalf("got %+v, want %d", m, i)
		}
	}
	full := 0
	for _, done := range append(dones, first) {
		switch err := wait(t, done, "a done"); {
		case errors.Is(err, hal.ErrFull):
			full++
		case err != nil:
			t.Error(err)
		}
	}
	if full > 0 {
		t.Errorf("%d deliveries did not fit", full)
	}
	for _, topic := range []string{"", "/a/+", "#"} {
		if err := wait(t, send(s, iot.Message{Topic: topic}), "a done"); err == nil {
			t.Errorf("topic %q is taken", topic)
		}
	}
	b.stop() // nobody is connected to the broker
	if err := wait(t, send(s, iot.Message{Topic: sys("lamp", "down/x")}), "a done"); !errors.Is(err, hal.ErrFull) {
		t.Errorf("without a consumer: %v, want ErrFull", err)
	}
	_ = conn.Close()
	if cause := s.Closed(t); cause != hal.CauseClient {
		t.Errorf("closed with %q", cause)
	}
	if err := wait(t, send(s, iot.Message{Topic: sys("lamp", "down/x")}), "a done"); !errors.Is(err, hal.ErrGone) {
		t.Errorf("after the end: %v, want ErrGone", err)
	}
}

// TestEchoIsNoMessage: on topics that go both ways the consumer hears what the
// platform published.
func TestEchoIsNoMessage(t *testing.T) {
	b := newBench(t, nil)
	conn, s, heard := b.device("lamp")
	for range 3 {
		if err := wait(t, send(s, iot.Message{Topic: sys("lamp", "down/both"), Payload: []byte("same"), QoS: 1}), "a done"); err != nil {
			t.Error(err)
		}
		wait(t, heard, "the delivery")
	}
	if err := conn.Publish(t.Context(), iot.Message{Topic: sys("lamp", "down/both"), Payload: []byte("same"), QoS: 1}); err != nil {
		t.Error(err)
	}
	f := s.Received(t) // the device's own, and no other
	f.Done(nil, nil)
	b.post(conn, "lamp", "last")
	if f := s.Received(t); string(f.Copy.Payload) != "last" {
		t.Errorf("got %+v", f.Copy)
	} else {
		f.Done(nil, nil)
	}
	b.settled()
}

// TestKick closes the connection at the broker, without its help.
func TestKick(t *testing.T) {
	b := newBench(t, nil)
	conn, s, _ := b.device("lamp")
	other, s2, _ := b.device("other")
	s.Request.Link.Close(hal.CauseDisabled)
	s.Request.Link.Close(hal.CauseDeleted)
	if cause := s.Closed(t); cause != hal.CauseDisabled {
		t.Errorf("closed with %q", cause)
	}
	wait(t, conn.Done(), "the end of the connection")
	b.post(other, "other", "still here")
	s2.Received(t).Done(nil, nil)
	if n := s.Closes(); n > 0 {
		t.Errorf("closed %d more times", n)
	}
}

// TestPanicInSession costs that client only.
func TestPanicInSession(t *testing.T) {
	b := newBench(t, func(s *haltest.FakeSession) {
		if s.Request.UserName == "victim&a1product" {
			s.OnReceive = func(context.Context, iot.Message, func([]iot.Message, error)) { panic("by the test") }
		}
	})
	victim, s, _ := b.device("victim")
	other, s2, _ := b.device("other")
	b.post(victim, "victim", "x")
	if cause := s.Closed(t); cause != hal.CauseNotKept {
		t.Errorf("closed with %q", cause)
	}
	b.post(other, "other", "x")
	s2.Received(t).Done(nil, nil)
	b.settled()
}
