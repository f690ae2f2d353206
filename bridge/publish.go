// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
)

const (
	// sendTimeout is how long one attempt to send may take.
	sendTimeout = 10 * time.Second
	// sendTries is how often a message may fail, without an answer, before it is
	// dropped; attempts without a connection do not count.
	sendTries = 3
	// retryPause keeps attempts apart while a loss is not noticed everywhere yet.
	retryPause = 100 * time.Millisecond
)

// Publish sends a message of a device and waits for the platform's answer. Errors
// are those of PublishAsync, and ctx's: the message stays under way then.
func (b *Bridge) Publish(ctx context.Context, identity string, m Message) error {
	return b.PublishAsync(ctx, identity, m).Wait(ctx)
}

// PublishAsync queues a message of a device. Messages of one device are sent one
// after the other, in order, and repeated until the platform answers. It waits
// for room in a full queue, as long as Config.RoomWait and ctx allow.
func (b *Bridge) PublishAsync(ctx context.Context, identity string, msg Message) *Result {
	r := newResult(msg)
	if err := b.enqueue(ctx, identity, r); err != nil {
		b.dropped(identity, r, err)
	}
	return r
}

func (b *Bridge) enqueue(ctx context.Context, identity string, r *Result) error {
	s, ok := b.cfg.Sessions.Load(identity)
	if !ok {
		if _, err := b.cfg.Identities.Lookup(ctx, identity); err != nil {
			return err
		}
		return fmt.Errorf("%w: %q", ErrOffline, identity)
	}
	s.Heard()
	if err := b.mapped(ctx, s); err != nil {
		return err
	}
	b.mu.Lock()
	m := b.members[identity]
	b.mu.Unlock()
	if m == nil {
		return fmt.Errorf("%w: %q", ErrOffline, identity)
	}
	if err := b.put(ctx, m, r); err != nil {
		return err
	}
	b.kick(m)
	return nil
}

// mapped ends a session whose identity is not its device's any more. That Identities
// cannot tell ends none.
func (b *Bridge) mapped(ctx context.Context, s *Session) error {
	id, err := b.cfg.Identities.Lookup(ctx, s.identity)
	if err == nil && id.Device != s.device {
		err = fmt.Errorf("%w: %q became %v", ErrUnmapped, s.identity, id.Device)
	}
	if errors.Is(err, ErrUnmapped) {
		b.drop(s, err)
	}
	return err
}

// put appends to the queue when there is room.
func (b *Bridge) put(ctx context.Context, m *member, r *Result) error {
	patience := b.cfg.RoomWait
	var late <-chan time.Time
	for {
		m.mu.Lock()
		if !m.accepts { // logged out since, or while this waited
			m.mu.Unlock()
			return fmt.Errorf("%w: %q", ErrOffline, m.identity)
		}
		if len(m.queue) < b.cfg.Queue {
			m.queue = append(m.queue, r)
			b.count.waiting.Add(1)
			m.mu.Unlock()
			return nil
		}
		if m.room == nil {
			m.room = make(chan struct{})
		}
		room := m.room
		m.mu.Unlock()
		if patience < 0 {
			return ErrQueueFull
		}
		if late == nil {
			t := time.NewTimer(patience)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-room:
		case <-late:
			return ErrQueueFull
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrQueueFull, ctx.Err())
		}
	}
}

// shrunk wakes who waits for room; mu is held.
func (m *member) shrunk() {
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
}

// drain waits until the queue is empty or ctx ends.
func (m *member) drain(ctx context.Context) {
	for {
		m.mu.Lock()
		if len(m.queue) == 0 {
			m.mu.Unlock()
			return
		}
		if m.room == nil {
			m.room = make(chan struct{})
		}
		room := m.room
		m.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return
		}
	}
}

// dropped counts and logs a message that is lost, and tells its Result.
func (b *Bridge) dropped(identity string, r *Result, cause error) {
	b.count.dropped.Add(1)
	b.cfg.Logger.Warn("message dropped", "identity", identity, "message", r.m.what, "error", cause)
	r.resolve(cause)
}

// kick has a member's queue sent, if it has one and a connection.
func (b *Bridge) kick(m *member) {
	m.mu.Lock()
	if m.sending || len(m.queue) == 0 || m.client == nil || !m.client.Online() {
		m.mu.Unlock()
		return
	}
	m.sending = true
	g := m.gw
	m.mu.Unlock()
	g.out.add(m)
}

// outbox sends what members of one gateway have, in turns.
type outbox struct {
	b    *Bridge
	most int // goroutines

	mu      sync.Mutex
	ready   []*member
	running int
}

func (o *outbox) add(m *member) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ready = append(o.ready, m)
	if o.running < o.most && o.b.spawn(o.run) {
		o.running++
	}
}

func (o *outbox) next() *member {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ready) == 0 || o.b.ctx.Err() != nil {
		o.running--
		return nil
	}
	m := o.ready[0]
	o.ready[0] = nil
	o.ready = o.ready[1:]
	return m
}

func (o *outbox) run() {
	for m := o.next(); m != nil; m = o.next() {
		if o.b.sendOne(m) {
			o.mu.Lock()
			o.ready = append(o.ready, m)
			o.mu.Unlock()
		}
	}
}

// sendOne sends the oldest message of a member and reports whether there is more
// to send now.
func (b *Bridge) sendOne(m *member) bool {
	m.mu.Lock()
	if len(m.queue) == 0 || m.client == nil {
		m.sending = false
		m.mu.Unlock()
		return false
	}
	r, c := m.queue[0], m.client
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(b.ctx, sendTimeout)
	err := r.m.send(ctx, c)
	cancel()
	if err != nil && !refused(err) && (offline(err) || r.mayRetry()) {
		m.mu.Lock()
		m.sending = false
		m.mu.Unlock()
		time.AfterFunc(retryPause, func() { b.kick(m) })
		return false
	}
	m.mu.Lock()
	taken := len(m.queue) == 0 || m.queue[0] != r // dropped meanwhile
	if !taken {
		m.queue[0] = nil
		if m.queue = m.queue[1:]; len(m.queue) == 0 {
			m.queue = nil
		}
		m.shrunk()
	}
	more := len(m.queue) > 0
	m.sending = more
	m.mu.Unlock()
	if !taken {
		b.count.waiting.Add(-1)
		b.sent(m, r, err)
	}
	return more
}

// mayRetry counts an attempt that failed and reports whether there is another.
func (r *Result) mayRetry() bool {
	r.tries++
	return r.tries < sendTries
}

func (b *Bridge) sent(m *member, r *Result, err error) {
	switch {
	case err == nil:
		b.count.sent.Add(1)
	case refused(err):
		b.count.refused.Add(1)
		b.cfg.Logger.Warn("message refused", "identity", m.identity, "message", r.m.what, "error", err)
	default:
		b.dropped(m.identity, r, err)
		return
	}
	r.resolve(err)
}

// refused reports whether err is the platform's answer.
func refused(err error) bool {
	_, ok := errors.AsType[*alink.CodeError](err)
	return ok
}

// offline reports whether err says that there is no connection, or that another
// message of the device is under way whose answer names nobody: neither is the
// message's fault. Other errors of transports may be.
func offline(err error) bool {
	return errors.Is(err, device.ErrOffline) || errors.Is(err, device.ErrClosed) || errors.Is(err, hal.ErrGone) ||
		errors.Is(err, alink.ErrDuplicate)
}
