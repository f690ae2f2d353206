// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"fmt"
	"reflect"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
	"github.com/openalink/iot/topic"
)

var subscribeCases = []contract{
	{"GrantsInOrder", testGrants},
	{"ManyFilters", testManyFilters},
	{"FlagsOfLinkSDK", testLenientFlags},
	{"UnsubscribeIsAcknowledged", testUnsubscribe},
	{"InLineWithMessages", testSubscribeInLine},
	{"SessionWithoutSubscriber", testNoSubscriber},
	{"WaitingHoldsNoAcks", testSubscribeWaits},
}

func testGrants(f *fixture) {
	f.setup(func(s *FakeSession) {
		s.OnSubscribe = func(_ context.Context, filters []hal.Filter) []hal.Grant {
			s.changes <- Change{Subscribed: filters}
			return []hal.Grant{1, hal.Refused, 0, 1}
		}
	})
	c, s := f.connect()
	c.write(mqttwire.AppendSubscribe(nil, 77,
		mqttwire.Filter{Topic: "/sys/a1product/device/#", QoS: 2},
		mqttwire.Filter{Topic: "/sys/other/#", QoS: 1},
		mqttwire.Filter{Topic: "+/+", QoS: 0},
		mqttwire.Filter{Topic: "not/#/valid", QoS: 1}))
	want := Change{Subscribed: []hal.Filter{
		{Topic: "/sys/a1product/device/#", QoS: 2}, // passed unchanged
		{Topic: "/sys/other/#", QoS: iot.AtLeastOnce},
		{Topic: "+/+"},
		{Topic: "not/#/valid", QoS: iot.AtLeastOnce},
	}}
	if got := s.Changed(f); !reflect.DeepEqual(got, want) {
		f.Errorf("got %+v, want %+v", got, want)
	}
	c.expect(mqttwire.AppendSuback[byte](nil, 77, 1, 0x80, 0, 1))
}

// testManyFilters: how many are too many, the platform decides.
func testManyFilters(f *fixture) {
	c, s := f.connect()
	var filters []mqttwire.Filter
	for i := range 200 {
		filters = append(filters, mqttwire.Filter{Topic: fmt.Sprintf("/a/%d/+", i), QoS: 1})
	}
	c.write(mqttwire.AppendSubscribe(nil, 5, filters...))
	if got := len(s.Changed(f).Subscribed); got != 200 {
		f.Errorf("%d filters arrived, want 200", got)
	}
	if p := c.next(); p.Type() != mqttwire.TypeSuback || len(p.Body) != 202 {
		f.Errorf("got %v with %d bytes, want SUBACK with 202", p.Type(), len(p.Body))
	}
}

// testLenientFlags: LinkSDK C 4.1.0 unsubscribes with a first byte of 0xA0.
func testLenientFlags(f *fixture) {
	c, s := f.connect()
	c.write(replace(mqttwire.AppendSubscribe(nil, 1, mqttwire.Filter{Topic: "/a"}), 0, 0x80))
	s.Changed(f)
	c.expect(mqttwire.AppendSuback[byte](nil, 1, 0))
	c.write(replace(mqttwire.AppendUnsubscribe(nil, 2, "/a"), 0, 0xa0))
	s.Changed(f)
	c.expect(mqttwire.AppendUnsuback(nil, 2))
	f.expectAlive(c, s)
}

func testUnsubscribe(f *fixture) {
	c, s := f.connect()
	c.write(mqttwire.AppendUnsubscribe(nil, 9, "/never/subscribed", "/a/#"))
	want := Change{Unsubscribed: []string{"/never/subscribed", "/a/#"}}
	if got := s.Changed(f); !reflect.DeepEqual(got, want) {
		f.Errorf("got %+v, want %+v", got, want)
	}
	c.expect(mqttwire.AppendUnsuback(nil, 9))
}

func testSubscribeInLine(f *fixture) {
	var order []string
	f.setup(func(s *FakeSession) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			order = append(order, string(m.Payload)) // the race detector watches
			done(nil, nil)
		}
		s.OnSubscribe = func(_ context.Context, filters []hal.Filter) []hal.Grant {
			order = append(order, filters[0].Topic)
			return make([]hal.Grant, len(filters))
		}
	})
	c, _ := f.connect()
	b := publishBytes(0, "/a", "1")
	b = mqttwire.AppendSubscribe(b, 1, mqttwire.Filter{Topic: "2"})
	b = append(b, publishBytes(0, "/a", "3")...)
	b = mqttwire.AppendSubscribe(b, 2, mqttwire.Filter{Topic: "4"})
	c.write(b)
	c.expect(mqttwire.AppendSuback[byte](nil, 1, 0))
	c.expect(mqttwire.AppendSuback[byte](nil, 2, 0))
	if got := fmt.Sprint(order); got != "[1 2 3 4]" {
		f.Errorf("order is %v, want 1 2 3 4", got)
	}
}

// bareSession cannot be subscribed to.
type bareSession struct{ s *FakeSession }

func (b bareSession) Receive(ctx context.Context, m iot.Message, done func([]iot.Message, error)) {
	b.s.Receive(ctx, m, done)
}

func (b bareSession) Authorize(op topic.Operation, name string) error { return b.s.Authorize(op, name) }
func (b bareSession) Close(cause hal.Cause)                           { b.s.Close(cause) }

func testNoSubscriber(f *fixture) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		return hal.Accepted{Session: bareSession{s}}, nil
	}
	c, s := f.connect()
	c.write(mqttwire.AppendSubscribe(nil, 3, mqttwire.Filter{Topic: "/a"}, mqttwire.Filter{Topic: "/b", QoS: 1}))
	c.expect(mqttwire.AppendSuback[byte](nil, 3, 0x80, 0x80))
	c.write(mqttwire.AppendUnsubscribe(nil, 4, "/a"))
	c.expect(mqttwire.AppendUnsuback(nil, 4))
	f.expectAlive(c, s)
}

// testSubscribeWaits: while a subscription becomes durable, acknowledgements
// and deliveries leave.
func testSubscribeWaits(f *fixture) {
	entered, release := make(chan struct{}), make(chan struct{})
	f.setup(func(s *FakeSession) {
		s.OnSubscribe = func(_ context.Context, filters []hal.Filter) []hal.Grant {
			close(entered)
			<-release
			return make([]hal.Grant, len(filters))
		}
	})
	c, s := f.connect()
	c.write(mqttwire.AppendSubscribe(publishBytes(1, "/a", "x"), 2, mqttwire.Filter{Topic: "/a"}))
	flight := s.Received(f)
	receive(f, entered, "Subscribe")
	flight.Done(nil, nil)
	c.expectAcks(1)
	s.Request.Link.Send(f.Context(), delivery(0, "/down", "x"), nil)
	c.expect(publishBytes(0, "/down", "x"))
	close(release)
	c.expect(mqttwire.AppendSuback[byte](nil, 2, 0))
}
