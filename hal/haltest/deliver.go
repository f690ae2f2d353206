// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var deliverCases = []contract{
	{"QoS0DoneWhenWritten", testDeliverQoS0},
	{"QoS1DoneWhenAcknowledged", testDeliverQoS1},
	{"PacketIDAndDupAsGiven", testPacketID},
	{"UnknownPubackIsIgnored", testUnknownPuback},
	{"RepeatedIDCallsBoth", testRepeatedID},
	{"NotSubscribedIsDelivered", testNotSubscribed},
	{"LinkCopies", testLinkCopies},
	{"InOrder", testDeliverInOrder},
	{"FromManyGoroutines", testDeliverConcurrent},
	{"GoneWithTheConnection", testGone},
	{"SlowReaderIsFull", testSlowReader},
	{"LargeDelivery", testLargeDelivery},
	{"ImpossibleDelivery", testImpossibleDelivery},
}

// send sends a delivery and returns where its done is reported.
func (s *FakeSession) send(ctx context.Context, d hal.Delivery) <-chan error {
	done := make(chan error, 2)
	s.Request.Link.Send(ctx, d, func(err error) { done <- err })
	return done
}

func testDeliverQoS0(f *fixture) {
	c, s := f.connect()
	done := s.send(f.Context(), delivery(0, "/down", "x"))
	c.expect(publishBytes(0, "/down", "x"))
	if err := receive(f, done, "the delivery"); err != nil {
		f.Error(err)
	}
}

func testDeliverQoS1(f *fixture) {
	c, s := f.connect()
	done := s.send(f.Context(), delivery(9, "/down", "x"))
	c.expect(publishBytes(9, "/down", "x"))
	c.ping()
	select {
	case err := <-done:
		f.Fatalf("done before the PUBACK: %v", err)
	default:
	}
	c.write(mqttwire.AppendPuback(nil, 9))
	if err := receive(f, done, "the delivery"); err != nil {
		f.Error(err)
	}
}

func testPacketID(f *fixture) {
	c, s := f.connect()
	for _, id := range []uint16{1, 0xffff, 300, 1} {
		for _, dup := range []bool{false, true} {
			d := delivery(id, "/down", "x")
			d.Dup = dup
			done := s.send(f.Context(), d)
			c.expect(mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/down", Payload: []byte("x"), QoS: 1, PacketID: id, Dup: dup}))
			c.write(mqttwire.AppendPuback(nil, id))
			if err := receive(f, done, "the delivery"); err != nil {
				f.Error(err)
			}
		}
	}
}

func testUnknownPuback(f *fixture) {
	c, s := f.connect()
	c.write(mqttwire.AppendPuback(nil, 4711))
	f.expectAlive(c, s)
}

func testRepeatedID(f *fixture) {
	c, s := f.connect()
	first := s.send(f.Context(), delivery(5, "/down", "x"))
	second := s.send(f.Context(), delivery(5, "/down", "x"))
	c.expect(publishBytes(5, "/down", "x"))
	c.expect(publishBytes(5, "/down", "x"))
	c.write(mqttwire.AppendPuback(nil, 5))
	for _, done := range []<-chan error{first, second} {
		if err := receive(f, done, "the delivery"); err != nil {
			f.Error(err)
		}
	}
}

// testNotSubscribed: many SDKs never subscribe to the system's topics.
func testNotSubscribed(f *fixture) {
	c, s := f.connect()
	s.send(f.Context(), delivery(0, "/sys/a1product/device/thing/service/property/set", "{}"))
	c.expect(publishBytes(0, "/sys/a1product/device/thing/service/property/set", "{}"))
}

func testLinkCopies(f *fixture) {
	c, s := f.connect()
	payload := []byte("before")
	s.Request.Link.Send(f.Context(), hal.Delivery{Message: iot.Message{Topic: "/down", Payload: payload}}, nil)
	copy(payload, "after!")
	c.expect(publishBytes(0, "/down", "before"))
}

func testDeliverInOrder(f *fixture) {
	c, s := f.connect()
	for i := range 500 {
		s.Request.Link.Send(f.Context(), delivery(uint16(i%3), fmt.Sprintf("/down/%d", i), "x"), nil)
	}
	for i := range 500 {
		c.expect(publishBytes(uint16(i%3), fmt.Sprintf("/down/%d", i), "x"))
	}
}

func testDeliverConcurrent(f *fixture) {
	c, s := f.connect()
	const senders, each = 8, 200
	var wg sync.WaitGroup
	var written atomic.Int32
	for g := range senders {
		wg.Go(func() {
			for i := range each {
				done := s.send(f.Context(), delivery(0, fmt.Sprint("/from/", g), fmt.Sprint(i)))
				if err := receive(f, done, "the delivery"); err == nil {
					written.Add(1)
				}
			}
		})
	}
	next := map[string]int{}
	for range senders * each {
		m, err := mqttwire.ParsePublish(c.next())
		if err != nil {
			f.Fatal(err)
		}
		if want := fmt.Sprint(next[m.Topic]); string(m.Payload) != want {
			f.Fatalf("%s: got %s, want %s", m.Topic, m.Payload, want)
		}
		next[m.Topic]++
	}
	wg.Wait()
	if got := written.Load(); got != senders*each {
		f.Errorf("%d deliveries done, want %d", got, senders*each)
	}
}

func testGone(f *fixture) {
	c, s := f.connect()
	var waiting []<-chan error
	for i := range 20 {
		waiting = append(waiting, s.send(f.Context(), delivery(uint16(i+1), "/down", "x")))
	}
	for range 20 {
		c.next()
	}
	c.write(mqttwire.AppendPuback(nil, 3))
	if err := receive(f, waiting[2], "the delivery"); err != nil {
		f.Error(err)
	}
	c.close()
	f.expectClosed(s, hal.CauseReset)
	for i, done := range waiting {
		if i == 2 {
			continue
		}
		if err := receive(f, done, "the delivery"); !errors.Is(err, hal.ErrGone) {
			f.Errorf("delivery %d: %v, want ErrGone", i, err)
		}
	}
	for _, id := range []uint16{0, 9} {
		if err := receive(f, s.send(f.Context(), delivery(id, "/down", "x")), "the delivery"); !errors.Is(err, hal.ErrGone) {
			f.Errorf("delivery after the end: %v, want ErrGone", err)
		}
	}
	s.Request.Link.Send(f.Context(), delivery(1, "/down", "x"), nil)
}

// testSlowReader fills the buffers of a client that does not read. Others do
// not notice, and when it reads it finds everything that was queued.
func testSlowReader(f *fixture) {
	c, s := f.connect()
	other, s2 := f.connect()
	payload := strings.Repeat("x", 10<<10)
	queued := 0
	for full := false; !full; {
		full = sendUntilFull(f, s, payload, &queued)
		f.expectAlive(other, s2)
	}
	for i := range queued {
		m, err := mqttwire.ParsePublish(c.next())
		if err != nil || m.Topic != fmt.Sprint("/down/", i) {
			f.Fatalf("got %q %v, want /down/%d", m.Topic, err, i)
		}
	}
	f.expectAlive(c, s)
}

// sendUntilFull sends up to 100 deliveries and reports whether one did not fit.
func sendUntilFull(f *fixture, s *FakeSession, payload string, queued *int) bool {
	f.Helper()
	const limit = 64 << 20 // more than any socket's buffers
	if *queued*len(payload) > limit {
		f.Fatalf("%d MB queued for a client that does not read", limit>>20)
	}
	for range 100 {
		var refused error
		s.Request.Link.Send(f.Context(), delivery(0, fmt.Sprint("/down/", *queued), payload), func(err error) {
			if errors.Is(err, hal.ErrFull) {
				refused = err
			}
		})
		if refused != nil {
			return true
		}
		*queued++
	}
	return false
}

func testLargeDelivery(f *fixture) {
	c, s := f.connect()
	payload := string(pattern(256 << 10))
	done := s.send(f.Context(), delivery(3, "/down", payload))
	c.expect(publishBytes(3, "/down", payload))
	c.write(mqttwire.AppendPuback(nil, 3))
	if err := receive(f, done, "the delivery"); err != nil {
		f.Error(err)
	}
}

// testImpossibleDelivery: a mistake of the platform does not break the stream.
func testImpossibleDelivery(f *fixture) {
	c, s := f.connect()
	noID := delivery(1, "/down", "x")
	noID.PacketID = 0
	for _, d := range []hal.Delivery{
		delivery(0, "", "x"),
		delivery(0, strings.Repeat("x", 1<<16), "x"),
		noID,
	} {
		if err := receive(f, s.send(f.Context(), d), "the delivery"); err == nil {
			f.Errorf("delivery with a topic of %d bytes was taken", len(d.Message.Topic))
		}
	}
	f.expectAlive(c, s)
}
