// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// brokerFixture is a fake platform behind a broker, whose consumer runs.
type brokerFixture struct {
	*testing.T
	access     *FakeAccess
	broker     Broker
	subscribed chan struct{}
	stop       func() // ends the consumer and waits for it
}

func newBrokerFixture(t *testing.T, open func(t *testing.T, a hal.Access) Broker) *brokerFixture {
	f := &brokerFixture{T: t, access: new(FakeAccess), subscribed: make(chan struct{}, recorded)}
	f.broker = open(t, f.access)
	f.consume()
	t.Cleanup(func() { f.stop() })
	return f
}

// consume starts the consumer and waits until messages come.
func (f *brokerFixture) consume() {
	f.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.broker.Consume(ctx, func() { f.subscribed <- struct{}{} }) }()
	f.stop = func() {
		f.Helper()
		cancel()
		if err := receive(f, ended, "the consumer to end"); !errors.Is(err, context.Canceled) {
			f.Errorf("Consume: %v", err)
		}
		f.stop = func() {}
	}
	receive(f, f.subscribed, "the consumer to subscribe")
}

// setup changes every session before it is accepted.
func (f *brokerFixture) setup(change func(*FakeSession)) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		change(s)
		return hal.Accepted{Session: s}, nil
	}
}

// soon is a context for what must not take longer than patience.
func (f *brokerFixture) soon() context.Context {
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	f.Cleanup(cancel)
	return ctx
}

// brokerDevice is a device, what it heard, and its session.
type brokerDevice struct {
	hal.SubscribingConn
	f       *brokerFixture
	name    string
	session *FakeSession
	heard   chan iot.Message
}

// brokerTopic is a topic of the device with a name.
func brokerTopic(name, path string) string { return "/sys/a1product/" + name + "/" + path }

func brokerLogin(name string) hal.Login {
	return hal.Login{
		ClientID: name + "|securemode=3|", UserName: name + "&a1product", Password: auth.NewSecret("0123456789abcdef"),
		KeepAlive: time.Minute, CleanSession: true,
	}
}

// dial logs a device in.
func (f *brokerFixture) dial(name string) (*brokerDevice, error) {
	f.Helper()
	d := &brokerDevice{f: f, name: name, heard: make(chan iot.Message, recorded)}
	conn, err := f.broker.Transport().Connect(f.soon(), brokerLogin(name), func(m iot.Message) { d.heard <- m })
	if err != nil {
		return nil, err
	}
	f.Cleanup(func() { _ = conn.Close() })
	var ok bool
	if d.SubscribingConn, ok = conn.(hal.SubscribingConn); !ok {
		f.Fatalf("a %T does not subscribe", conn)
	}
	return d, nil
}

// connect logs a device in that must be let in.
func (f *brokerFixture) connect(name string) *brokerDevice {
	f.Helper()
	d, err := f.dial(name)
	if err != nil {
		f.Fatalf("%s: %v", name, err)
	}
	d.session = f.access.Next(f)
	if user := d.session.Request.UserName; user != name+"&a1product" {
		f.Fatalf("%s: the platform was asked for %q", name, user)
	}
	return d
}

// device logs a device in and subscribes it to what goes down to it.
func (f *brokerFixture) device(name string) *brokerDevice {
	f.Helper()
	d := f.connect(name)
	d.subscribe()
	return d
}

// comeBack is device for one that was kicked. As devices do, it tries again when the
// broker, which may not be through with the kick, breaks the connection off.
func (f *brokerFixture) comeBack(name string) *brokerDevice {
	f.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		d, err := f.dial(name)
		if err == nil {
			d.session = f.access.Next(f)
			for f.access.Asked() > 0 { // what came before is of a connection that was broken off
				d.session = f.access.Next(f)
			}
			d.subscribe()
			return d
		}
		if _, refused := errors.AsType[*hal.RefusedError](err); refused || time.Since(start) > patience {
			f.Fatalf("%s does not come back: %v", name, err)
		}
	}
}

func (d *brokerDevice) subscribe() {
	d.f.Helper()
	grants, err := d.Subscribe(d.f.soon(), []hal.Filter{{Topic: brokerTopic(d.name, "down/#"), QoS: 1}})
	if err != nil || len(grants) != 1 || grants[0] != 1 {
		d.f.Fatalf("%s subscribes: granted %v, %v", d.name, grants, err)
	}
}

// publish sends a message, which the broker must take.
func (d *brokerDevice) publish(m iot.Message) {
	d.f.Helper()
	if err := d.Publish(d.f.soon(), m); err != nil {
		d.f.Errorf("%s publishes to %s: %v", d.name, m.Topic, err)
	}
}

// post sends a text at QoS 1.
func (d *brokerDevice) post(text string) {
	d.f.Helper()
	d.publish(iot.Message{Topic: brokerTopic(d.name, "up"), Payload: []byte(text), QoS: iot.AtLeastOnce})
}

// received waits for the next message at the platform, which must be this post.
func (d *brokerDevice) received(text string) Flight {
	d.f.Helper()
	flight := d.session.Received(d.f)
	if m := flight.Copy; m.Topic != brokerTopic(d.name, "up") || string(m.Payload) != text || m.QoS != iot.AtLeastOnce {
		d.f.Fatalf("%s: got %s %q at QoS %d, want the post %q", d.name, m.Topic, m.Payload, m.QoS, text)
	}
	return flight
}

// send has the platform send a message to the device.
func (d *brokerDevice) send(m iot.Message) <-chan error {
	var id uint16
	if m.QoS > 0 {
		id = 1
	}
	return d.session.send(d.f.Context(), hal.Delivery{Message: m, PacketID: id})
}

// down is a message to the device.
func (d *brokerDevice) down(text string, qos iot.QoS) iot.Message {
	return iot.Message{Topic: brokerTopic(d.name, "down/x"), Payload: []byte(text), QoS: qos}
}

// hear waits for the next message at the device.
func (d *brokerDevice) hear() iot.Message {
	d.f.Helper()
	return receive(d.f, d.heard, "a message at the device")
}

// settle waits until the broker has every acknowledgement of a done that was called:
// they leave on the consumer's connection, in front of what is sent here.
func (d *brokerDevice) settle() {
	d.f.Helper()
	if err := receive(d.f, d.send(d.down("settle", 1)), "the delivery"); err != nil {
		d.f.Fatalf("delivery: %v", err)
	}
	for string(d.hear().Payload) != "settle" {
	}
}

// alive checks that a device and the platform still hear each other.
func (d *brokerDevice) alive() {
	d.f.Helper()
	d.post("still here")
	d.received("still here").Done(nil, nil)
	d.settle()
}

// ended waits for the end of the device's connection to the broker.
func (d *brokerDevice) ended() {
	d.f.Helper()
	receive(d.f, d.Done(), "the broker to close the connection")
}
