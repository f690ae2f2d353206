// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	iot "github.com/openalink/iot"
)

var brokerPublishCases = []brokerContract{
	{"MessageArrivesAsSent", brokerArrives},
	{"LargePayload", brokerLargePayload},
	{"SlowSessionHoldsUpNobody", brokerSlowSession},
	{"FloodAtQoS0IsDroppedAndCounted", brokerFlood},
}

func brokerArrives(f *brokerFixture) {
	d := f.device("lamp")
	for _, want := range []iot.Message{
		{Topic: brokerTopic("lamp", "thing/event/property/post"), Payload: []byte(`{"id":"1"}`), QoS: iot.AtLeastOnce},
		{Topic: brokerTopic("lamp", "thing/event/property/post"), Payload: []byte(`{"id":"2"}`), QoS: iot.AtMostOnce},
		{Topic: brokerTopic("lamp", "thing/model/up_raw"), Payload: []byte{0, 1, 2, 0xff}, QoS: iot.AtLeastOnce},
		{Topic: "/ota/device/inform/a1product/lamp", Payload: []byte("{}"), QoS: iot.AtLeastOnce},
		{Topic: "/a1product/lamp/user/update", Payload: []byte("\u4e2d\u6587"), QoS: iot.AtMostOnce},
		{Topic: "/a1product/lamp/user/update/\u4e2d\u6587", Payload: []byte{}, QoS: iot.AtLeastOnce},
	} {
		d.publish(want)
		flight := d.session.Received(f)
		if got := flight.Copy; got.Topic != want.Topic || !bytes.Equal(got.Payload, want.Payload) || got.QoS != want.QoS {
			f.Errorf("got %+v, want %+v", got, want)
		}
		flight.Done(nil, nil)
	}
	if n := f.broker.Dropped(); n > 0 {
		f.Errorf("%d messages were dropped", n)
	}
}

func brokerLargePayload(f *brokerFixture) {
	d := f.device("lamp")
	for _, size := range []int{4 << 10, 128 << 10, 256 << 10} {
		payload := pattern(size)
		d.publish(iot.Message{Topic: brokerTopic("lamp", "up"), Payload: payload, QoS: iot.AtLeastOnce})
		flight := d.session.Received(f)
		if !bytes.Equal(flight.Message.Payload, payload) {
			f.Errorf("payload of %d bytes arrived wrong", size)
		}
		flight.Done(nil, nil)
	}
}

// held makes sessions of a device wait until release is called, and tells when one
// was given a message.
func (f *brokerFixture) held(name string) (entered chan struct{}, release func()) {
	entered, free := make(chan struct{}, recorded), make(chan struct{})
	f.setup(func(s *FakeSession) {
		if !strings.HasPrefix(s.Request.UserName, name+"&") {
			return
		}
		s.OnReceive = func(ctx context.Context, _ iot.Message, done func([]iot.Message, error)) {
			entered <- struct{}{}
			select {
			case <-free:
			case <-ctx.Done():
			}
			done(nil, nil)
		}
	})
	return entered, func() { close(free) }
}

// brokerSlowSession: fewer messages wait than any broker lets be unacknowledged.
func brokerSlowSession(f *brokerFixture) {
	entered, release := f.held("slow")
	slow, quick := f.device("slow"), f.device("quick")
	const waiting = 5
	for i := range waiting {
		slow.post(fmt.Sprint(i))
	}
	receive(f, entered, "the slow session's message")
	quick.alive()
	// Deliveries reach a device whose messages have to wait.
	slow.settle()
	release()
	for range waiting - 1 {
		receive(f, entered, "the slow session's message")
	}
	quick.alive()
}

// brokerFlood: what a session has no room for is lost, and said to be.
func brokerFlood(f *brokerFixture) {
	entered, release := f.held("flooder")
	flooder, other := f.device("flooder"), f.device("other")
	const n = 1000
	for range n {
		flooder.publish(iot.Message{Topic: brokerTopic("flooder", "up")})
	}
	other.alive()
	deadline := time.Now().Add(patience)
	for f.broker.Dropped() == 0 {
		if time.Now().After(deadline) {
			f.Fatalf("nothing of %d messages is dropped while the session takes none", n)
		}
		time.Sleep(time.Millisecond)
	}
	release()
	for got := 0; got+int(f.broker.Dropped()) < n; {
		select {
		case <-entered:
			got++
		case <-time.After(time.Millisecond):
			if time.Now().After(deadline) {
				f.Fatalf("%d heard, %d dropped, of %d", got, f.broker.Dropped(), n)
			}
		}
	}
	other.alive()
}
