// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

var brokerOrderCases = []brokerContract{
	{"EachDeviceInOrder", brokerOrder},
	{"AcknowledgedAfterDone", brokerAckAfterDone},
	{"NotKeptComesAgain", brokerNotKept},
	{"WaitsWhileNobodyConsumes", brokerAway},
	{"WaitingOfTheGoneLeaveRoom", brokerLeaveRoom},
	{"AnswersFollowInOrder", brokerAnswers},
	{"OddAnswers", brokerOddAnswers},
}

// brokerOrder has many devices speak at once.
func brokerOrder(f *brokerFixture) {
	const devices, each = 8, 50
	var all sync.WaitGroup
	for i := range devices {
		d := f.device(fmt.Sprint("device-", i))
		all.Go(func() {
			for k := range each {
				d.post(fmt.Sprint(k))
			}
		})
		all.Go(func() {
			for k := range each {
				flight := d.session.Received(f)
				if got := string(flight.Copy.Payload); got != fmt.Sprint(k) || flight.Copy.Topic != brokerTopic(d.name, "up") {
					f.Errorf("%s: got %s on %s, want %d", d.name, got, flight.Copy.Topic, k)
				}
				flight.Done(nil, nil)
			}
		})
	}
	all.Wait()
	if n := f.broker.Dropped(); n > 0 {
		f.Errorf("%d messages were dropped", n)
	}
}

// brokerAckAfterDone: the next consumer gets what was not done, and nothing else. A
// message the platform rejects is done too.
func brokerAckAfterDone(f *brokerFixture) {
	d := f.device("lamp")
	d.post("1")
	d.post("2")
	early := []Flight{d.received("1"), d.received("2")}
	f.stop()
	f.consume()
	first, second := d.received("1"), d.received("2")
	for _, flight := range early { // too late: their connection is gone
		flight.Done(nil, nil)
	}
	second.Done(nil, &hal.RejectedError{Err: errors.New("not yours")})
	d.settle()
	f.stop()
	f.consume()
	last := d.received("1")
	last.Done(nil, nil)
	first.Done(nil, nil)
	d.settle()
	f.stop()
	f.consume()
	d.alive()
}

// brokerNotKept: what was not kept comes again, with what was behind it.
func brokerNotKept(f *brokerFixture) {
	d := f.device("lamp")
	for _, text := range []string{"1", "2", "3"} {
		d.post(text)
	}
	first, second, third := d.received("1"), d.received("2"), d.received("3")
	first.Done(nil, nil)
	d.settle()
	second.Done(nil, errors.New("disk full"))
	receive(f, f.subscribed, "the consumer, again")
	for _, text := range []string{"2", "3"} {
		d.received(text).Done(nil, nil)
	}
	third.Done(nil, nil) // too late: its connection is gone
	d.alive()
	f.stop()
	f.consume()
	d.alive()
}

// brokerAway: what devices say at QoS 1 while nobody listens waits at the broker.
func brokerAway(f *brokerFixture) {
	d := f.device("lamp")
	f.stop()
	const n = 30
	for i := range n {
		d.post(fmt.Sprint(i))
	}
	if got := d.session.Waiting(); got > 0 {
		f.Errorf("%d messages came without a consumer", got)
	}
	f.consume()
	for i := range n {
		d.received(fmt.Sprint(i)).Done(nil, nil)
	}
	d.alive()
}

// busy makes a session hold its first message until it is closed.
func busy(s *FakeSession, entered chan<- struct{}) {
	over := make(chan struct{})
	s.OnClose = func(hal.Cause) { close(over) }
	s.OnReceive = func(ctx context.Context, _ iot.Message, done func([]iot.Message, error)) {
		entered <- struct{}{}
		select {
		case <-over:
		case <-ctx.Done():
		}
		done(nil, hal.ErrGone)
	}
}

// brokerLeaveRoom: what nobody will take does not stay in the broker's window. More
// of it than RabbitMQ has room for (10) stops nobody else.
func brokerLeaveRoom(f *brokerFixture) {
	entered := make(chan struct{}, recorded)
	f.setup(func(s *FakeSession) {
		if strings.HasPrefix(s.Request.UserName, "victim-") {
			busy(s, entered)
		}
	})
	other := f.device("other")
	const each = 5
	for k := range 3 {
		victim := f.device(fmt.Sprint("victim-", k))
		for i := range each {
			victim.post(fmt.Sprint(i))
		}
		receive(f, entered, "the first message")
		other.post("barrier") // the consumer has the others, too
		other.received("barrier").Done(nil, nil)
		victim.session.Request.Link.Close(hal.CauseKicked)
		victim.ended()
	}
	other.alive()
}

// answering has sessions answer each message with its payload.
func (f *brokerFixture) answering(more ...iot.Message) {
	f.setup(func(s *FakeSession) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			answer := iot.Message{Topic: brokerTopic("lamp", "down/reply"), Payload: m.Payload, QoS: iot.AtLeastOnce}
			done(append(more[:len(more):len(more)], answer), nil)
		}
	})
}

// brokerAnswers: they have no packet id, so they leave with QoS 0.
func brokerAnswers(f *brokerFixture) {
	f.answering()
	d := f.device("lamp")
	const n = 100
	for i := range n {
		d.post(fmt.Sprint(i))
	}
	for i := range n {
		if m := d.hear(); string(m.Payload) != fmt.Sprint(i) || m.Topic != brokerTopic("lamp", "down/reply") || m.QoS != iot.AtMostOnce {
			f.Fatalf("got %s %q at QoS %d, want the answer %d", m.Topic, m.Payload, m.QoS, i)
		}
	}
}

// brokerOddAnswers: one that cannot be sent does no harm.
func brokerOddAnswers(f *brokerFixture) {
	f.answering(iot.Message{Topic: ""}, iot.Message{Topic: "/no/+/topic"}, iot.Message{Topic: "#", Payload: []byte("x")})
	d := f.device("lamp")
	for _, text := range []string{"1", "2"} {
		d.post(text)
		if m := d.hear(); string(m.Payload) != text {
			f.Errorf("got %q, want %q", m.Payload, text)
		}
	}
}
