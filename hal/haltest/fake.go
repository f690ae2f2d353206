// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// recorded is how much the fakes remember before they block.
const recorded = 1 << 10

// FakeAccess is a platform that lets everybody in, unless Decide says
// otherwise. It is safe for concurrent use; Decide must be set before.
type FakeAccess struct {
	// Decide, when not nil, answers Connect. It may return accept(s) for the
	// session it was given, changed as it likes.
	Decide func(ctx context.Context, s *FakeSession) (hal.Accepted, error)

	once     sync.Once
	sessions chan *FakeSession
}

// Connect implements hal.Access.
func (a *FakeAccess) Connect(ctx context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	s := newFakeSession(r)
	accepted, err := hal.Accepted{Session: s}, error(nil)
	if a.Decide != nil {
		accepted, err = a.Decide(ctx, s)
	}
	a.queue() <- s
	return accepted, err
}

func (a *FakeAccess) queue() chan *FakeSession {
	a.once.Do(func() { a.sessions = make(chan *FakeSession, recorded) })
	return a.sessions
}

// Next waits for the next client that asked to come in, accepted or not.
func (a *FakeAccess) Next(t testing.TB) *FakeSession {
	t.Helper()
	return receive(t, a.queue(), "a call of Connect")
}

// Asked returns how many clients asked and were not fetched with Next.
func (a *FakeAccess) Asked() int { return len(a.queue()) }

// FakeSession records what a listener tells it. It is a hal.Session and a
// hal.Subscriber.
type FakeSession struct {
	// Request is a copy of what the client asked with, its Link included.
	Request hal.ConnectRequest
	// OnReceive, OnSubscribe and OnClose, when not nil, replace the recording, and
	// OnAuthorize the consent. They must be set before the session is accepted.
	OnReceive   func(ctx context.Context, m iot.Message, done func([]iot.Message, error))
	OnSubscribe func(ctx context.Context, filters []hal.Filter) []hal.Grant
	OnAuthorize func(op topic.Operation, name string) error
	OnClose     func(cause hal.Cause)

	flights chan Flight
	changes chan Change
	causes  chan hal.Cause
}

// Flight is a message in flight.
type Flight struct {
	// Message is what Receive was given: it must not change before Done returns.
	Message iot.Message
	// Copy is how it looked then.
	Copy iot.Message
	Done func(answers []iot.Message, err error)
}

// Change is a call of Subscribe or Unsubscribe.
type Change struct {
	Subscribed   []hal.Filter
	Unsubscribed []string
}

func newFakeSession(r *hal.ConnectRequest) *FakeSession {
	s := &FakeSession{
		Request: *r,
		flights: make(chan Flight, recorded),
		changes: make(chan Change, recorded),
		causes:  make(chan hal.Cause, 16),
	}
	s.Request.ClientID = strings.Clone(r.ClientID)
	s.Request.UserName = strings.Clone(r.UserName)
	if p, ok := r.Credential.(auth.Password); ok {
		s.Request.Credential = auth.NewPassword(bytes.Clone(p.Bytes()))
	}
	return s
}

// Receive implements hal.Session.
func (s *FakeSession) Receive(ctx context.Context, m iot.Message, done func([]iot.Message, error)) {
	if s.OnReceive != nil {
		s.OnReceive(ctx, m, done)
		return
	}
	kept := m
	kept.Topic, kept.Payload = strings.Clone(m.Topic), bytes.Clone(m.Payload)
	select {
	case s.flights <- Flight{Message: m, Copy: kept, Done: done}:
	case <-ctx.Done():
		done(nil, ctx.Err())
	}
}

// Authorize implements hal.Session: everything is allowed.
func (s *FakeSession) Authorize(op topic.Operation, name string) error {
	if s.OnAuthorize != nil {
		return s.OnAuthorize(op, name)
	}
	return nil
}

// Close implements hal.Session.
func (s *FakeSession) Close(cause hal.Cause) {
	if s.OnClose != nil {
		s.OnClose(cause)
		return
	}
	s.causes <- cause
}

// Subscribe implements hal.Subscriber: it grants QoS 1 at most.
func (s *FakeSession) Subscribe(ctx context.Context, filters []hal.Filter) []hal.Grant {
	if s.OnSubscribe != nil {
		return s.OnSubscribe(ctx, filters)
	}
	s.changes <- Change{Subscribed: filters}
	grants := make([]hal.Grant, len(filters))
	for i, f := range filters {
		grants[i] = hal.Grant(min(f.QoS, iot.AtLeastOnce))
	}
	return grants
}

// Unsubscribe implements hal.Subscriber.
func (s *FakeSession) Unsubscribe(_ context.Context, filters []string) {
	s.changes <- Change{Unsubscribed: filters}
}

// Received waits for the next message.
func (s *FakeSession) Received(t testing.TB) Flight {
	t.Helper()
	return receive(t, s.flights, "a message")
}

// Waiting returns how many messages arrived and were not fetched.
func (s *FakeSession) Waiting() int { return len(s.flights) }

// Changed waits for the next call of Subscribe or Unsubscribe.
func (s *FakeSession) Changed(t testing.TB) Change {
	t.Helper()
	return receive(t, s.changes, "a subscription")
}

// Closed waits for the next call of Close.
func (s *FakeSession) Closed(t testing.TB) hal.Cause {
	t.Helper()
	return receive(t, s.causes, "the session to be closed")
}

// Closes returns how many calls of Close were not fetched.
func (s *FakeSession) Closes() int { return len(s.causes) }

// receive takes from a channel or fails the test.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}
