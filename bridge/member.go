// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
)

// member is a device as the platform sees it. It outlives sessions: a device that
// comes back soon finds its login and its queue.
type member struct {
	identity string
	turn     chan struct{} // capacity 1, full while somebody logs it in or out

	mu      sync.Mutex
	id      hal.Identity
	gw      *gateway       // where it is placed
	client  *device.Client // nil while logged out
	since   int            // the gateway's connection it logged in on
	queue   []*Result
	sending bool          // an outbox has it
	room    chan struct{} // closed when the queue shrinks; nil when nobody waits
	accepts bool          // messages: since a session opened, until what waits was dropped
	leaving bool          // a goroutine waits for its end, until lingers
	lingers time.Time
}

// member returns that of an identity, a new one if there is none.
func (b *Bridge) member(identity string) (*member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	m := b.members[identity]
	if m == nil {
		m = &member{identity: identity, turn: make(chan struct{}, 1)}
		b.members[identity] = m
	}
	return m, nil
}

// hold takes the turn of an identity's member. One that was forgotten while this
// waited for its turn is of no use any more.
func (b *Bridge) hold(ctx context.Context, identity string) (*member, error) {
	for {
		m, err := b.member(identity)
		if err != nil {
			return nil, err
		}
		if err := m.take(ctx); err != nil {
			return nil, err
		}
		b.mu.Lock()
		known := b.members[identity] == m
		b.mu.Unlock()
		if known {
			return m, nil
		}
		m.give()
	}
}

// forgetIdle forgets a member that is logged out and has no session; its turn is
// held.
func (b *Bridge) forgetIdle(m *member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, live := b.cfg.Sessions.Load(m.identity); live || m.current() != nil || b.members[m.identity] != m || len(m.turn) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		delete(b.members, m.identity)
	}
}

// take waits for m's turn.
func (m *member) take(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}: // a new member's, even when ctx ended
		return nil
	default:
	}
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *member) give() { <-m.turn }

func (m *member) device() iot.DeviceID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id.Device
}

func (m *member) gateway() *gateway {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gw
}

// current returns the client, nil while logged out.
func (m *member) current() *device.Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.client
}

// accept lets messages be queued.
func (m *member) accept() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepts = true
}

// errElsewhere ends a login that waits for a gateway when there is a better one.
var errElsewhere = errors.New("bridge: another gateway")

// login logs a member in unless it is; its turn is held.
func (b *Bridge) login(ctx context.Context, m *member, id hal.Identity) error {
	if m.current() != nil {
		return nil
	}
	for {
		if err := b.tryLogin(ctx, m, id); !errors.Is(err, errElsewhere) {
			return err
		}
	}
}

// tryLogin places a member and waits until it is logged in there.
func (b *Bridge) tryLogin(ctx context.Context, m *member, id hal.Identity) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	g := b.place(m.identity)
	if g == nil {
		b.mu.Unlock()
		return ErrFull
	}
	g.coming[m] = cancel
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(g.coming, m)
	}()
	c, err := g.dev.SubDevice(device.Config{Identity: id, Handlers: b.handlers(m), Slot: b.cfg.Slot})
	if err != nil {
		b.vacate(g)
		return fmt.Errorf("bridge: %q: %w", m.identity, err)
	}
	m.mu.Lock()
	m.id, m.gw, m.client = id, g, c
	m.mu.Unlock()
	defer context.AfterFunc(b.ctx, func() { cancel(ErrClosed) })()
	if err := c.Connect(ctx); err != nil {
		m.logout(b, nil)
		switch why := context.Cause(ctx); {
		case b.ctx.Err() != nil:
			err = ErrClosed
		case errors.Is(why, errElsewhere):
			return errElsewhere
		}
		return fmt.Errorf("bridge: login of %q: %w", m.identity, err)
	}
	return nil
}

func (b *Bridge) vacate(g *gateway) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g.carries--
}

// logout ends the login at the platform, if there is one, and drops what waits
// for cause; with a nil cause that stays. The turn is held.
func (m *member) logout(b *Bridge, cause error) {
	m.mu.Lock()
	c, g := m.client, m.gw
	m.client, m.gw = nil, nil
	var left []*Result
	if cause != nil {
		left, m.queue, m.accepts = m.queue, nil, false
		m.shrunk()
	}
	m.mu.Unlock()
	for _, r := range left {
		b.count.waiting.Add(-1)
		b.dropped(m.identity, r, cause)
	}
	if c != nil {
		_ = c.Close()
		b.vacate(g)
	}
}

// leave ends the login of a device whose session ended: at once when nothing
// waits, else when all is sent or Linger is over. A device that comes and goes has
// one of it, which waits from when it went last.
func (b *Bridge) leave(m *member) {
	if !m.leave(b.cfg.Linger) {
		return
	}
	for until := m.lingering(); !until.IsZero(); until = m.lingering() {
		ctx, cancel := context.WithDeadline(b.ctx, until)
		m.drain(ctx)
		cancel()
		if b.ctx.Err() != nil {
			return
		}
	}
	if m.take(b.ctx) != nil {
		return
	}
	defer m.give()
	if _, back := b.cfg.Sessions.Load(m.identity); back {
		return
	}
	m.logout(b, ErrOffline)
	b.forgetIdle(m)
}

// leave notes that the device went, and reports whether nobody waits for its end yet.
func (m *member) leave(linger time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lingers = time.Now().Add(max(linger, 0))
	first := !m.leaving
	m.leaving = true
	return first
}

// lingering returns until when to wait for the queue, and the zero time when there is
// nothing to wait for any more.
func (m *member) lingering() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) > 0 && time.Now().Before(m.lingers) {
		return m.lingers
	}
	m.leaving = false
	return time.Time{}
}

// move brings a member from a lost gateway to another, with its queue.
func (b *Bridge) move(m *member, from *gateway) {
	if m.take(b.ctx) != nil {
		return
	}
	defer m.give()
	if m.gateway() != from || from.dev.Online() {
		return
	}
	id := m.identityOf()
	m.logout(b, nil)
	err := b.login(b.ctx, m, id)
	if err != nil && b.ctx.Err() == nil {
		b.cfg.Logger.Warn("device not moved", "identity", m.identity, "error", err)
		if s, ok := b.cfg.Sessions.Load(m.identity); ok {
			b.finish(s, err)
		}
		m.logout(b, err)
		b.forgetIdle(m)
		return
	}
	b.kick(m)
}

func (m *member) identityOf() hal.Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id
}

// connected is called after each login of the member at the platform.
func (b *Bridge) connected(m *member) {
	m.mu.Lock()
	if m.gw != nil {
		m.since = m.gw.connection()
	}
	m.mu.Unlock()
	b.kick(m)
}

// disconnected is called when the login at the platform ended. When the gateway
// still has the connection it was made on, the platform ended it.
func (b *Bridge) disconnected(m *member) {
	m.mu.Lock()
	g, since, c := m.gw, m.since, m.client
	m.mu.Unlock()
	if g == nil || c == nil || !g.dev.Online() || g.connection() != since {
		return
	}
	s, ok := b.cfg.Sessions.Load(m.identity)
	if ok {
		b.finish(s, ErrTaken)
	}
	b.spawn(func() {
		if m.take(b.ctx) != nil {
			return
		}
		defer m.give()
		if m.current() != c {
			return
		}
		if s, ok := b.cfg.Sessions.Load(m.identity); ok { // it was opening
			b.finish(s, ErrTaken)
		}
		m.logout(b, ErrTaken)
		b.forgetIdle(m)
	})
}
