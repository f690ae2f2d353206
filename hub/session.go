// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// What a session may have in its worker's queue. The count leaves room above the
// unacknowledged window for QoS 0; one message of any size always fits.
const (
	sessionItems = 256
	sessionBytes = 1 << 20
)

// session is the hub's half of a connection. It implements hal.Session and
// hal.Subscriber.
type session struct {
	h      *Hub
	d      *device
	link   hal.Link
	number int64 // rises with every connection of the device; a message id
	clean  bool
	// extRRPC tells that synchronous calls go out under /ext/rrpc.
	extRRPC bool
	addr    string
	subs    atomic.Pointer[subscriptions]

	proof *shownProof // of a login without a signature; else nil

	gw  *gateway // of a gateway's connection: its sub-devices
	via *session // of a sub-device's session: the gateway's connection

	req *request // of a single request; nil for a connection

	raw   *rawEdge // of a connection that carries raw devices, or may
	isRaw bool     // the device speaks bytes of its own

	cause  atomic.Pointer[hal.Cause] // why it ended; nil while it lives
	ended  chan struct{}             // closed when it ends; nil for a sub-device's
	opened bool                      // the worker made it the device's session

	items   atomic.Int32 // in the worker's queue or its commit
	bytes   atomic.Int64
	waiting atomic.Bool
	room    chan struct{} // capacity 1

	// rate states, of the listener's reading goroutine
	up0, up1, in int64
	limited      bool  // any uplink limit is set
	overrun      int64 // second of the last overrun logged

	qos2Logged atomic.Bool
}

// shownProof is what may be revoked under a session.
type shownProof struct {
	token bool   // it logged in with a token
	cert  string // fingerprint of the certificate it logged in with
}

var (
	errSessionEnded = errors.New("hub: session has ended")
	errNoSession    = errors.New("hub: the sub-device is not logged in through this gateway")
)

// Receive implements hal.Session.
func (s *session) Receive(ctx context.Context, m iot.Message, done func([]iot.Message, error)) {
	s.receive(ctx, m, nil, done)
}

// ReceiveNumbered implements hal.NumberedReceiver.
func (s *session) ReceiveNumbered(ctx context.Context, m iot.Message, done func(int64, []iot.Message, error)) {
	id := new(int64)
	s.receive(ctx, m, id, func(answers []iot.Message, err error) { done(*id, answers, err) })
}

// receive takes a message in. The worker writes its number to id, if that is not
// nil.
func (s *session) receive(ctx context.Context, m iot.Message, id *int64, done func([]iot.Message, error)) {
	if len(m.Payload) > s.h.limits.MessageBytes {
		s.reject(m, CauseTooLarge, "")
		done(nil, &hal.RejectedError{Err: ErrTooLarge})
		return
	}
	if s.req != nil && s.limited {
		if err := s.throttleRequest(&m); err != nil {
			done(nil, err)
			return
		}
	} else if s.limited {
		if err := s.throttle(ctx, &m, s.speakerOf(m.Topic)); err != nil {
			done(nil, err)
			return
		}
	}
	if !s.enter(ctx, len(m.Payload)) {
		done(nil, errSessionEnded)
		return
	}
	it := item{d: s.d, s: s, m: m, done: done, id: id, size: len(m.Payload)}
	if s.req != nil {
		s.putRequest(it)
		return
	}
	if s.gw != nil {
		it.subs = s.prepare(ctx, &m)
	}
	if s.raw != nil && s.translates(m.Topic) {
		s.receiveRaw(it)
		return
	}
	s.d.put(it)
}

// enter takes a place in the queue, waiting while the session has too much in
// it. It reports false when the session ended.
func (s *session) enter(ctx context.Context, size int) bool {
	for {
		items, bytes := s.items.Add(1), s.bytes.Add(int64(size))
		if s.cause.Load() != nil {
			s.leave(size)
			return false
		}
		if items <= sessionItems && (bytes <= sessionBytes || items == 1) {
			return true
		}
		if s.room == nil { // a request, which has one message
			s.leave(size)
			return false
		}
		s.waiting.Store(true)
		s.items.Add(-1)
		s.bytes.Add(-int64(size))
		if s.items.Load() == 0 { // whoever would have told us may be through already
			continue
		}
		select {
		case <-s.room:
		case <-ctx.Done():
			return false
		case <-s.ended:
			return false
		}
	}
}

// leave gives a place back.
func (s *session) leave(size int) {
	s.bytes.Add(-int64(size))
	s.items.Add(-1)
	if s.waiting.Load() && s.waiting.CompareAndSwap(true, false) {
		select {
		case s.room <- struct{}{}:
		default:
		}
	}
}

// throttle applies the uplink limits: QoS 0 over them is rejected, anything else
// waits, which stops the listener from reading the connection. who is the
// session of the device the topic names.
func (s *session) throttle(ctx context.Context, m *iot.Message, who *session) error {
	now := time.Now().UnixNano()
	l := &s.h.rates
	if m.QoS == iot.AtMostOnce {
		if l.up0.take(&who.up0, now, 1) > 0 || s.h.uplinks.take(now, 1) > 0 {
			who.overran(now, m, "QoS 0 messages a second; dropped")
			return &hal.RejectedError{Err: ErrThrottled}
		}
	} else if err := s.await(ctx, m, now, "QoS 1 messages a second; reading pauses", func(now int64) time.Duration {
		return l.up1.take(&who.up1, now, 1)
	}); err != nil {
		return err
	} else if err := s.await(ctx, m, now, "messages a second of the hub; reading pauses", func(now int64) time.Duration {
		return s.h.uplinks.take(now, 1)
	}); err != nil {
		return err
	}
	size := len(m.Payload) + len(m.Topic) + 4
	return s.await(ctx, m, now, "bytes a second; reading pauses", func(now int64) time.Duration {
		return l.in.take(&s.in, now, size)
	})
}

// await waits until take gives zero.
func (s *session) await(ctx context.Context, m *iot.Message, now int64, what string, take func(int64) time.Duration) error {
	wait := take(now)
	if wait == 0 {
		return nil
	}
	s.overran(now, m, what)
	for wait > 0 {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errSessionEnded
		case <-s.ended:
			t.Stop()
			return errSessionEnded
		}
		wait = take(time.Now().UnixNano())
	}
	return nil
}

// overran logs an overrun, at most once a second.
func (s *session) overran(now int64, m *iot.Message, what string) {
	if second := now / int64(time.Second); second != s.overrun {
		s.overrun = second
		s.reject(*m, CauseRateLimit, what)
	}
}

// reject logs a message that is not processed.
func (s *session) reject(m iot.Message, cause LogCause, detail string) {
	s.h.log(LogEntry{
		Device: s.d.id, Via: s.gatewayID(), Kind: Upstream, Operation: OpPublish, Status: Failure,
		Cause: cause, Topic: cloneTopic(m.Topic), Detail: detail,
	})
}

// Authorize implements hal.Session.
func (s *session) Authorize(op topic.Operation, name string) error {
	if op == topic.Sub {
		s = s.subscriberOf(name)
		if err := s.d.product.acl.Load().Subscribe(s.d.id, name); err != nil {
			return &hal.RejectedError{Err: err}
		}
		return nil
	}
	t, err := topic.Parse(name)
	if err == nil {
		if kid := s.kid(t.Device); kid != nil {
			s = kid
		}
		err = s.d.product.acl.Load().Publish(s.d.id, t)
	}
	if err != nil {
		return &hal.RejectedError{Err: err}
	}
	return nil
}

// Close implements hal.Session.
func (s *session) Close(cause hal.Cause) { s.end(cause) }

// end marks the session ended, for the cause given first, and has the worker
// close it behind the messages that are queued.
func (s *session) end(cause hal.Cause) {
	if !s.cause.CompareAndSwap(nil, &cause) {
		return
	}
	s.wake()
	if s.req != nil {
		s.endRequest()
		return
	}
	s.d.post(func(b *batch) { s.closed(b) })
}

// wake ends what waits for room or rate.
func (s *session) wake() {
	if s.ended != nil {
		close(s.ended)
	}
}

// cloneTopic copies a topic that may be a view of a buffer, for a log entry; an
// absurd one is cut.
func cloneTopic(name string) string {
	return string(append([]byte(nil), name[:min(len(name), 512)]...))
}
