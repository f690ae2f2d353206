// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

var brokerDeliverCases = []brokerContract{
	{"InOrder", brokerDeliver},
	{"LinkCopies", brokerLinkCopies},
	{"FromManyGoroutines", brokerDeliverConcurrent},
	{"LargeDelivery", brokerLargeDelivery},
	{"ImpossibleDelivery", brokerImpossible},
	{"FullWithoutConsumer", brokerFull},
	{"GoneAfterTheEnd", brokerGone},
	{"EchoIsNoMessage", brokerEcho},
}

// brokerDeliver: each QoS is in order; MQTT 3.1.1 section 4.6 promises no order
// between them. A delivery is done when the broker has it.
func brokerDeliver(f *brokerFixture) {
	d := f.device("lamp")
	const n = 100
	var dones []<-chan error
	for i := range n {
		dones = append(dones, d.send(d.down(fmt.Sprint(i), iot.QoS(i%2))))
	}
	next := [2]int{0, 1}
	for range n {
		m := d.hear()
		if m.QoS > 1 || string(m.Payload) != fmt.Sprint(next[m.QoS]) {
			f.Fatalf("got %q at QoS %d, want one of %v", m.Payload, m.QoS, next)
		}
		next[m.QoS] += 2
	}
	for i, done := range dones {
		if err := receive(f, done, "the delivery"); err != nil {
			f.Errorf("delivery %d: %v", i, err)
		}
	}
}

func brokerLinkCopies(f *brokerFixture) {
	d := f.device("lamp")
	for _, qos := range []iot.QoS{0, 1} {
		m := d.down("before", qos)
		d.send(m)
		copy(m.Payload, "after!")
		if m := d.hear(); string(m.Payload) != "before" {
			f.Errorf("got %q", m.Payload)
		}
	}
}

func brokerDeliverConcurrent(f *brokerFixture) {
	d := f.device("lamp")
	const senders, each = 4, 50
	var all sync.WaitGroup
	for g := range senders {
		all.Go(func() {
			for i := range each {
				m := iot.Message{Topic: brokerTopic("lamp", fmt.Sprint("down/", g)), Payload: fmt.Append(nil, i), QoS: 1}
				if err := receive(f, d.send(m), "the delivery"); err != nil {
					f.Error(err)
				}
			}
		})
	}
	next := map[string]int{}
	for range senders * each {
		m := d.hear()
		if want := fmt.Sprint(next[m.Topic]); string(m.Payload) != want {
			f.Fatalf("%s: got %s, want %s", m.Topic, m.Payload, want)
		}
		next[m.Topic]++
	}
	all.Wait()
}

func brokerLargeDelivery(f *brokerFixture) {
	d := f.device("lamp")
	payload := pattern(256 << 10)
	done := d.send(d.down(string(payload), 1))
	if m := d.hear(); !bytes.Equal(m.Payload, payload) {
		f.Errorf("%d bytes arrived wrong as %d", len(payload), len(m.Payload))
	}
	if err := receive(f, done, "the delivery"); err != nil {
		f.Error(err)
	}
}

// brokerImpossible: a mistake of the platform costs the consumer nothing.
func brokerImpossible(f *brokerFixture) {
	d := f.device("lamp")
	for _, name := range []string{"", "/a/+", "#", strings.Repeat("x", 1<<16)} {
		if err := receive(f, d.send(iot.Message{Topic: name}), "the delivery"); err == nil {
			f.Errorf("delivery with a topic of %d bytes was taken", len(name))
		}
	}
	d.alive()
	if n := len(f.subscribed); n > 0 {
		f.Error("the consumer had to subscribe again")
	}
}

// brokerFull: what cannot be handed to the broker now may be tried again.
func brokerFull(f *brokerFixture) {
	d := f.device("lamp")
	f.stop()
	for _, qos := range []iot.QoS{0, 1} {
		if err := receive(f, d.send(d.down("x", qos)), "the delivery"); !errors.Is(err, hal.ErrFull) {
			f.Errorf("delivery at QoS %d without a consumer: %v, want ErrFull", qos, err)
		}
	}
	f.consume()
	d.alive()
}

func brokerGone(f *brokerFixture) {
	d := f.device("lamp")
	d.alive()
	d.session.Request.Link.Close(hal.CauseKicked)
	d.session.Closed(f)
	for _, qos := range []iot.QoS{0, 1} {
		if err := receive(f, d.send(d.down("x", qos)), "the delivery"); !errors.Is(err, hal.ErrGone) {
			f.Errorf("delivery at QoS %d after the end: %v, want ErrGone", qos, err)
		}
	}
	d.session.Request.Link.Send(f.Context(), hal.Delivery{Message: d.down("x", 0)}, nil)
}

// brokerEcho: on topics that go both ways the consumer hears what the platform
// published; the same words of the device are a message.
func brokerEcho(f *brokerFixture) {
	d := f.device("lamp")
	same := iot.Message{Topic: brokerTopic("lamp", "down/both"), Payload: []byte("same"), QoS: 1}
	for range 3 {
		if err := receive(f, d.send(same), "the delivery"); err != nil {
			f.Error(err)
		}
		d.hear()
	}
	d.publish(same)
	flight := d.session.Received(f)
	if flight.Copy.Topic != same.Topic || string(flight.Copy.Payload) != "same" {
		f.Errorf("got %+v, want the device's own", flight.Copy)
	}
	flight.Done(nil, nil)
	d.hear() // what it published itself
	d.alive()
	d.alive()
}
