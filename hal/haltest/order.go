// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var orderCases = []contract{
	{"AckAfterDone", testAckAfterDone},
	{"AcksInOrder", testAcksInOrder},
	{"AcksInOrderFromManyGoroutines", testAcksConcurrent},
	{"DoneBeforeReceiveReturns", testDoneInline},
	{"AnswersFollowTheirAck", testAnswersFollow},
	{"OddAnswers", testOddAnswers},
	{"WindowHolds", testWindow},
	{"WindowOfThePlatform", testWindowGiven},
	{"DoneAfterTheEnd", testDoneAfterEnd},
}

func testAckAfterDone(f *fixture) {
	c, s := f.connect()
	c.publish(1, "/a", "x")
	flight := s.Received(f)
	c.ping() // and no PUBACK
	flight.Done(nil, nil)
	c.expectAcks(1)
}

func testAcksInOrder(f *fixture) {
	c, s := f.connect()
	var ids []uint16
	var flights []Flight
	for i := range 50 {
		ids = append(ids, uint16(1000-i*13))
		c.publish(ids[i], "/a", "x")
		flights = append(flights, s.Received(f))
	}
	for _, flight := range slices.Backward(flights[1:]) {
		flight.Done(nil, nil)
	}
	c.ping() // the oldest holds all back
	flights[0].Done(nil, nil)
	c.expectAcks(ids...)
}

func testAcksConcurrent(f *fixture) {
	c, s := f.connect()
	const n = 5000
	go func() {
		for i := range n {
			c.publish(uint16(i+1), "/a", "x")
		}
	}()
	flights := make(chan Flight, 64)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for flight := range flights {
				mine := append(some(flights, 5), flight)
				rand.Shuffle(len(mine), func(i, k int) { mine[i], mine[k] = mine[k], mine[i] })
				for _, m := range mine {
					m.Done(nil, nil)
				}
			}
		})
	}
	go func() {
		for range n {
			flights <- s.Received(f)
		}
		close(flights)
	}()
	for i := range n {
		c.expectAcks(uint16(i + 1))
	}
	wg.Wait()
}

// some takes up to n of what is there.
func some[T any](c <-chan T, n int) (list []T) {
	for range n {
		select {
		case v, ok := <-c:
			if ok {
				list = append(list, v)
			}
		default:
		}
	}
	return list
}

func testDoneInline(f *fixture) {
	f.setup(func(s *FakeSession) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			done([]iot.Message{{Topic: m.Topic + "_reply", Payload: m.Payload}}, nil)
		}
	})
	c, _ := f.connect()
	for i := range uint16(300) {
		text := fmt.Sprint(i)
		c.publish(i+1, "/a", text)
		c.expectAcks(i + 1)
		c.expect(publishBytes(0, "/a_reply", text))
	}
}

// testAnswersFollow: whatever the order of the dones, an answer comes behind
// the acknowledgement of its message.
func testAnswersFollow(f *fixture) {
	c, s := f.connect()
	var flights []Flight
	for i := range 5 {
		c.publish(uint16(i+1), "/a", "x")
		flights = append(flights, s.Received(f))
	}
	for _, i := range []int{3, 1, 4, 2, 0} {
		payload := []byte(fmt.Sprint("first ", i))
		topic := []byte("/a_reply")
		answers := []iot.Message{{Topic: string(topic), Payload: payload}, {Topic: "/more", Payload: payload}}
		flights[i].Done(answers[:1+i%2], nil)
		clear(payload) // it is the platform's again
	}
	for i := range 5 {
		c.expectAcks(uint16(i + 1))
		c.expect(publishBytes(0, "/a_reply", fmt.Sprint("first ", i)))
		if i%2 == 1 {
			c.expect(publishBytes(0, "/more", fmt.Sprint("first ", i)))
		}
	}
}

// testOddAnswers: an answer has no packet id, so it leaves with QoS 0. One that
// cannot be sent does no harm.
func testOddAnswers(f *fixture) {
	c, s := f.connect()
	c.publish(1, "/a", "x")
	s.Received(f).Done([]iot.Message{
		{Topic: "", Payload: []byte("nowhere to go")},
		{Topic: strings.Repeat("x", 1<<16)},
		{Topic: "/reply", Payload: []byte("y"), QoS: iot.AtLeastOnce},
	}, nil)
	c.expectAcks(1)
	c.expect(publishBytes(0, "/reply", "y"))
	f.expectAlive(c, s)
}

func testWindow(f *fixture) { windowHolds(f, 100) }

func testWindowGiven(f *fixture) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		return hal.Accepted{Session: s, MaxUnacked: 3}, nil
	}
	windowHolds(f, 3)
}

// windowHolds sends more than fits and checks how much arrives. Every done
// lets one more in.
func windowHolds(f *fixture, window int) {
	c, s := f.connect()
	total := window + 50
	go func() {
		for i := range total {
			c.publish(uint16(i+1), "/a", "x")
		}
	}()
	var flights []Flight
	for range window {
		flights = append(flights, s.Received(f))
	}
	// A delivery is written by somebody else than the reader that is held up. By
	// the time it arrives, a listener that reads on would have read on.
	s.Request.Link.Send(f.Context(), delivery(0, "/down", "x"), nil)
	c.expect(publishBytes(0, "/down", "x"))
	for i := range total {
		if got := s.Waiting(); got > 0 {
			f.Fatalf("%d messages beyond the window of %d", got, window)
		}
		flights[i].Done(nil, nil)
		c.expectAcks(uint16(i + 1))
		if i+window < total {
			flights = append(flights, s.Received(f))
		}
	}
	c.ping()
}

// testDoneAfterEnd: dones that come late do no harm.
func testDoneAfterEnd(f *fixture) {
	c, s := f.connect()
	var flights []Flight
	for i := range 10 {
		c.publish(uint16(i+1), "/a", "x")
		flights = append(flights, s.Received(f))
	}
	c.write(mqttwire.AppendDisconnect(nil))
	f.expectClosed(s, hal.CauseClient)
	c.expectEnd()
	other, s2 := f.connect()
	for i, flight := range flights {
		if flight.Message.Topic != "/a" {
			f.Errorf("message changed before it was done: %q", flight.Message.Topic)
		}
		flight.Done([]iot.Message{{Topic: "/reply"}}, []error{nil, hal.ErrGone}[i%2])
	}
	f.expectAlive(other, s2)
}
