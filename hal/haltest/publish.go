// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var publishCases = []contract{
	{"MessageArrivesAsSent", testMessageArrives},
	{"AnyTopicReachesThePlatform", testAnyTopic},
	{"RetainAndDupAreIgnored", testRetainDup},
	{"LargePayload", testLargePayload},
	{"ManyPacketsInOneSegment", testOneSegment},
	{"QoS2EndsTheConnection", testQoS2},
	{"RejectedIsAcknowledged", testRejected},
	{"NotKeptClosesUnacknowledged", testNotKept},
	{"BytesStayUntilDone", testBytesStay},
	{"AnswersAtQoS0", testAnswersQoS0},
	{"BackPressureHoldsOneConnection", testBackPressure},
	{"BackPressureEndsWithTheConnection", testBackPressureEnds},
	{"FloodDisturbsNobody", testFlood},
}

func testMessageArrives(f *fixture) {
	c, s := f.connect()
	for _, want := range []iot.Message{
		{Topic: "/sys/a1product/device/thing/event/property/post", Payload: []byte(`{"id":"1"}`), QoS: iot.AtLeastOnce},
		{Topic: "/a", Payload: []byte{}, QoS: iot.AtMostOnce},
		{Topic: "/raw", Payload: []byte{0, 1, 2, 0xff}, QoS: iot.AtMostOnce},
	} {
		c.write(publishBytes(uint16(want.QoS)*9, want.Topic, string(want.Payload)))
		flight := s.Received(f)
		got := flight.Copy
		if got.Topic != want.Topic || !bytes.Equal(got.Payload, want.Payload) || got.QoS != want.QoS || got.Properties != nil {
			f.Errorf("got %+v, want %+v", got, want)
		}
		flight.Done(nil, nil)
	}
	c.expectAcks(9)
}

// testAnyTopic: which topics are allowed, the platform decides; vendors use
// the ones a broker keeps for itself.
func testAnyTopic(f *fixture) {
	c, s := f.connect()
	for _, name := range []string{
		"$shadow/operation/a1product/device",
		"$oc/devices/device/sys/properties/report",
		"$SYS/broker/uptime",
		"$share/group/topic",
		"/sys/other/device/thing/event/property/post",
		"no/leading/slash",
		"/",
		"/\u4e2d\u6587/\U0001f600",
		strings.Repeat("/long", 1000),
	} {
		c.publish(1, name, "x")
		flight := s.Received(f)
		if flight.Copy.Topic != name {
			f.Errorf("got topic %q, want %q", flight.Copy.Topic, name)
		}
		flight.Done(nil, nil)
		c.expectAcks(1)
	}
}

// testRetainDup: a repeated packet is a message as any other, nothing is
// retained.
func testRetainDup(f *fixture) {
	c, s := f.connect()
	for range 2 {
		c.write(mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", PacketID: 4, QoS: 1, Dup: true, Retain: true}))
	}
	s.Received(f).Done(nil, nil)
	s.Received(f).Done(nil, nil)
	c.expectAcks(4, 4)
	c.write(mqttwire.AppendSubscribe(nil, 5, mqttwire.Filter{Topic: "/a"}))
	c.expect(mqttwire.AppendSuback[byte](nil, 5, 0))
	c.ping() // no retained message
}

func testLargePayload(f *fixture) {
	c, s := f.connect()
	for _, size := range []int{4 << 10, 32 << 10, 128 << 10, 256 << 10} {
		payload := pattern(size)
		go c.write(mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", Payload: payload, PacketID: 1, QoS: 1}))
		flight := s.Received(f)
		if !bytes.Equal(flight.Message.Payload, payload) {
			f.Errorf("payload of %d bytes arrived wrong", size)
		}
		flight.Done(nil, nil)
		c.expectAcks(1)
	}
}

// pattern makes bytes that tell their place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func testOneSegment(f *fixture) {
	c, s := f.connect()
	const n = 90
	var b []byte
	for i := range n {
		b = append(b, publishBytes(uint16(i+1), fmt.Sprintf("/topic/%d", i), strings.Repeat("x", i*7))...)
	}
	go c.write(b)
	for i := range n {
		flight := s.Received(f)
		if want := fmt.Sprintf("/topic/%d", i); flight.Copy.Topic != want || len(flight.Copy.Payload) != i*7 {
			f.Errorf("got %q with %d bytes, want %q with %d", flight.Copy.Topic, len(flight.Copy.Payload), want, i*7)
		}
		flight.Done(nil, nil)
		c.expectAcks(uint16(i + 1))
	}
}

func testQoS2(f *fixture) {
	c, s := f.connect()
	c.write(mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", PacketID: 1, QoS: 2}))
	c.expectEnd()
	f.expectClosed(s, hal.CauseProtocol)
	if s.Waiting() > 0 {
		f.Error("the message arrived")
	}
}

func testRejected(f *fixture) {
	c, s := f.connect()
	c.publish(1, "/foreign", "x")
	s.Received(f).Done(nil, &hal.RejectedError{Err: errors.New("not yours")})
	c.expectAcks(1)
	c.publish(2, "/foreign", "x")
	s.Received(f).Done(nil, fmt.Errorf("wrapped: %w", &hal.RejectedError{}))
	c.expectAcks(2)
	f.expectAlive(c, s)
}

func testNotKept(f *fixture) {
	for _, qos := range []byte{0, 1} {
		c, s := f.connect()
		c.publish(1, "/a", "kept")
		c.write(publishBytes(2*uint16(qos), "/a", "lost"))
		s.Received(f).Done(nil, nil)
		c.expectAcks(1)
		s.Received(f).Done(nil, errors.New("disk full"))
		c.expectEnd()
		f.expectClosed(s, hal.CauseNotKept)
	}
}

// testBytesStay holds messages back while others pour in.
func testBytesStay(f *fixture) {
	c, s := f.connect()
	var held []Flight
	for i := range 1000 {
		qos0 := publishBytes(0, fmt.Sprintf("/topic/%d", i), strings.Repeat(string(rune('a'+i%26)), i%700))
		c.write(qos0)
		flight := s.Received(f)
		if i%20 == 0 {
			held = append(held, flight)
		} else {
			flight.Done(nil, nil)
		}
	}
	other, s2 := f.connect()
	for range 100 {
		other.publish(1, "/noise", strings.Repeat("noise", 100))
		s2.Received(f).Done(nil, nil)
		other.expectAcks(1)
	}
	for _, flight := range held {
		if flight.Message.Topic != flight.Copy.Topic || !bytes.Equal(flight.Message.Payload, flight.Copy.Payload) {
			f.Fatalf("message changed before it was done: %q, was %q", flight.Message.Topic, flight.Copy.Topic)
		}
		flight.Done(nil, nil)
	}
	f.expectAlive(c, s)
}

func testAnswersQoS0(f *fixture) {
	c, s := f.connect()
	c.write(publishBytes(0, "/get", ""))
	s.Received(f).Done([]iot.Message{
		{Topic: "/get_reply", Payload: []byte("1")},
		{Topic: "/get_reply", Payload: []byte("2")},
	}, nil)
	c.expect(publishBytes(0, "/get_reply", "1"))
	c.expect(publishBytes(0, "/get_reply", "2"))
}

// testBackPressure: a platform that makes one connection wait holds that one
// only.
func testBackPressure(f *fixture) {
	release := make(chan struct{})
	f.setup(func(s *FakeSession) {
		if s.Request.UserName != "slow" {
			return
		}
		s.OnReceive = func(ctx context.Context, _ iot.Message, done func([]iot.Message, error)) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			done(nil, nil)
		}
	})
	connect := login()
	connect.UserName = "slow"
	slow, s1 := f.connectAs(connect)
	other, s2 := f.connect()
	slow.publish(1, "/a", "x")
	slow.publish(2, "/a", "x")
	f.expectAlive(other, s2)
	// Deliveries reach a client whose messages have to wait.
	s1.Request.Link.Send(f.Context(), delivery(0, "/down", "x"), nil)
	slow.expect(publishBytes(0, "/down", "x"))
	close(release)
	slow.expectAcks(1, 2)
}

func testBackPressureEnds(f *fixture) {
	entered := make(chan struct{})
	f.setup(func(s *FakeSession) {
		s.OnReceive = func(ctx context.Context, _ iot.Message, done func([]iot.Message, error)) {
			close(entered)
			<-ctx.Done()
			if ctx.Err() == nil {
				f.Error("Err is nil after Done")
			}
			done(nil, ctx.Err())
		}
	})
	c, s := f.connect()
	c.publish(1, "/a", "x")
	receive(f, entered, "the message")
	s.Request.Link.Close(hal.CauseKicked)
	c.expectEnd()
	f.expectClosed(s, hal.CauseKicked)
}

func testFlood(f *fixture) {
	flooder, s1 := f.connect()
	other, s2 := f.connect()
	const n = 20_000
	go func() {
		b := bytes.Repeat(publishBytes(0, "/flood", strings.Repeat("x", 50)), n/100)
		for range 100 {
			flooder.write(b)
		}
	}()
	for i := range n {
		s1.Received(f).Done(nil, nil)
		if i%1000 == 0 {
			f.expectAlive(other, s2)
		}
	}
	f.expectAlive(flooder, s1)
}
