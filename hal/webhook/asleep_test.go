// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/webhook"
)

// TestPlatformCannotDecide: what a silent device said waits while its session cannot
// be opened again.
func TestPlatformCannotDecide(t *testing.T) {
	var broken atomic.Int32
	a := &haltest.FakeAccess{Decide: func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		if broken.Add(-1) >= 0 {
			return hal.Accepted{}, errors.New("the store is away")
		}
		return hal.Accepted{Session: s}, nil
	}}
	hook, p := newHook(t, webhook.Config{Access: a, Silence: 50 * time.Millisecond})
	f := &front{hook, newBroker(t, makes["RabbitMQ"](p))}
	ctx, away := context.WithCancel(t.Context())
	ended, up := make(chan struct{}), make(chan struct{}, 1)
	go func() { defer close(ended); _ = f.Consume(ctx, func() { up <- struct{}{} }) }()
	wait(t, up, "the consumer")
	conn, s, _ := connected(t, f, a)
	away()
	wait(t, ended, "the consumer to end")
	if err := conn.Publish(t.Context(), iot.Message{Topic: "/sys/a1product/lamp/up", Payload: []byte("kept"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	for s.Closed(t); a.Asked() > 0; s.Closed(t) { // each question woke it up
		s = a.Next(t)
	}
	broken.Store(2)
	f.consume(t)
	a.Next(t)
	a.Next(t)
	m := a.Next(t).Received(t)
	if string(m.Copy.Payload) != "kept" {
		t.Errorf("got %q", m.Copy.Payload)
	}
	m.Done(nil, nil)
	if n := hook.Dropped(); n > 0 {
		t.Errorf("%d messages were dropped", n)
	}
}
