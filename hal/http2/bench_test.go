// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"context"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/http2"
)

// ready is a platform that keeps every message at once.
func ready(t testing.TB, links chan<- hal.Link) hal.Conn {
	a := &haltest.FakeAccess{Decide: func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		s.OnReceive = func(_ context.Context, _ iot.Message, done func([]iot.Message, error)) { done(nil, nil) }
		links <- s.Request.Link
		return hal.Accepted{Session: s}, nil
	}}
	_, web := listen(t, http2.Config{Platform: noTokens{a}})
	c, err := http2.New("h2c"+strings.TrimPrefix(web.URL, "http")).Connect(t.Context(), login(labSecret), ignore)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// BenchmarkPublish posts over one connection, both ends in this process.
func BenchmarkPublish(b *testing.B) {
	c := ready(b, make(chan hal.Link, 1))
	m := iot.Message{Topic: "/sys/a1LabPk00001/lab_dev_01/thing/event/property/post", Payload: []byte(strings.Repeat("x", 435)), QoS: 1}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := c.Publish(context.Background(), m); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkDeliver sends down and waits for the answer, both ends in this process.
func BenchmarkDeliver(b *testing.B) {
	links := make(chan hal.Link, 1)
	ready(b, links)
	link, done := <-links, make(chan error, 1)
	d := hal.Delivery{PacketID: 1, Message: iot.Message{Topic: "/sys/a1LabPk00001/lab_dev_01/thing/service/property/set", Payload: []byte(strings.Repeat("x", 100)), QoS: 1}}
	b.ReportAllocs()
	for b.Loop() {
		link.Send(context.Background(), d, func(err error) { done <- err })
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
