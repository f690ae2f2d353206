// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/webhook"
)

// front is a little broker with a webhook behind it.
type front struct {
	*webhook.Server
	broker *broker
}

func (f *front) Transport() hal.Transport { return mqtt.New("tcp://" + f.broker.addr) }

func (f *front) Consume(ctx context.Context, subscribed func()) error {
	return f.Server.Consume(ctx, webhook.Consumer{
		URL: "mqtt://" + f.broker.addr, UserName: "platform", Password: services["platform"], Subscribed: subscribed,
	})
}

func openFront(t *testing.T, name string, a hal.Access) *front {
	t.Helper()
	hook, p := newHook(t, webhook.Config{Access: a, Timeout: 20 * time.Second})
	return &front{hook, newBroker(t, makes[name](p))}
}

// TestContract is the contract behind brokers of each make.
func TestContract(t *testing.T) {
	tellsNoEnd := haltest.LeaveOut("Close/EndIsTold", "the broker does not tell that a connection ended; a session ends after Config.Silence")
	left := map[string][]haltest.Option{"RabbitMQ": {tellsNoEnd}, "Mosquitto": {tellsNoEnd}}
	eachMake(t, func(t *testing.T, name string) {
		haltest.TestBehindBroker(t, func(t *testing.T, a hal.Access) haltest.Broker { return openFront(t, name, a) }, left[name]...)
	})
}

// consume runs a consumer until the test ends. It returns what tells that it
// subscribed again.
func (f *front) consume(t *testing.T) (up <-chan struct{}) {
	t.Helper()
	subscribed, ended := make(chan struct{}, 16), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(ended); _ = f.Consume(ctx, func() { subscribed <- struct{}{} }) }()
	t.Cleanup(func() { cancel(); <-ended })
	wait(t, subscribed, "the consumer")
	return subscribed
}

// connected is a device at a front, subscribed to what goes down to it, and its
// session.
func connected(t *testing.T, f *front, a *haltest.FakeAccess) (hal.Conn, *haltest.FakeSession, chan iot.Message) {
	t.Helper()
	heard := make(chan iot.Message, 1024)
	l := hal.Login{ClientID: "lamp|", UserName: "lamp&a1product", Password: auth.NewSecret("x"), KeepAlive: time.Minute, CleanSession: true}
	conn, err := f.Transport().Connect(t.Context(), l, func(m iot.Message) { heard <- m })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.(hal.SubscribingConn).Subscribe(t.Context(), []hal.Filter{{Topic: "/sys/a1product/lamp/down", QoS: 1}}); err != nil {
		t.Fatal(err)
	}
	return conn, a.Next(t), heard
}

// TestOrderAcrossQoS: the consumer publishes what it is given in one order, whatever
// the QoS, and EMQX tells why a connection ended.
func TestOrderAcrossQoS(t *testing.T) {
	a := new(haltest.FakeAccess)
	f := openFront(t, "EMQX", a)
	f.consume(t)
	conn, s, heard := connected(t, f, a)
	const n = 200
	for i := range n {
		d := hal.Delivery{Message: iot.Message{Topic: "/sys/a1product/lamp/down", Payload: fmt.Append(nil, i), QoS: iot.QoS(i % 2)}, PacketID: uint16(i % 2)}
		s.Request.Link.Send(t.Context(), d, nil)
	}
	for i := range n {
		if m := wait(t, heard, "a delivery"); string(m.Payload) != fmt.Sprint(i) || m.QoS != iot.QoS(i%2) {
			t.Fatalf("got %q at QoS %d, want %d", m.Payload, m.QoS, i)
		}
	}
	_ = conn.Close()
	if cause := s.Closed(t); cause != hal.CauseClient {
		t.Errorf("closed with %q, want %q", cause, hal.CauseClient)
	}
}

// TestDisconnect: the consumer's account takes a client's id over, whatever session
// the client has at the broker.
func TestDisconnect(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		a := new(haltest.FakeAccess)
		f := openFront(t, name, a)
		f.consume(t)
		conn, _, _ := connected(t, f, a)
		if err := f.Disconnect(t.Context(), "lamp|"); err != nil {
			t.Error(err)
		}
		wait(t, conn.Done(), "the end of the connection")
	})
}

// TestRepeatedEcho: what the platform published comes back twice when the broker did
// not hear that it came back once.
func TestRepeatedEcho(t *testing.T) {
	a := new(haltest.FakeAccess)
	f := openFront(t, "EMQX", a)
	up := f.consume(t)
	conn, s, heard := connected(t, f, a)
	f.broker.deaf.Store(true)
	m := iot.Message{Topic: "/sys/a1product/lamp/down", Payload: []byte("of the platform"), QoS: 1}
	s.Request.Link.Send(t.Context(), hal.Delivery{Message: m, PacketID: 1}, nil)
	wait(t, heard, "the delivery")
	m = iot.Message{Topic: "/sys/a1product/lamp/up", Payload: []byte("of the device"), QoS: 1}
	if err := conn.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for range 3 { // came, and comes again
		flight := s.Received(t)
		if string(flight.Copy.Payload) != "of the device" {
			t.Fatalf("got %q", flight.Copy.Payload)
		}
		flight.Done(nil, nil)
		f.broker.cut("openalink")
		wait(t, up, "the consumer, again")
	}
}
