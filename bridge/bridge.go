// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
)

// Bridge carries devices to a platform. It is safe for concurrent use.
type Bridge struct {
	cfg    Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	count  counters

	gateways []*gateway

	mu      sync.Mutex
	members map[string]*member // by original identity
	closed  bool
	work    sync.WaitGroup // added to with mu held and closed false
}

// counters are what Stats tells.
type counters struct{ sent, refused, dropped, waiting, sessions atomic.Int64 }

// Stats counts since the Bridge was made.
type Stats struct {
	// Sessions are open now, Waiting messages not yet sent or dropped.
	Sessions, Waiting int64
	// Sent messages the platform took, Refused ones it answered with an error, and
	// Dropped ones that never got there. Each message is in one of them, once.
	Sent, Refused, Dropped int64
	// Carried is how many devices each gateway has, in the order of
	// Config.Gateways.
	Carried []int
}

// New makes a Bridge. It fails when the configuration is not usable, and touches
// nothing outside.
func New(cfg Config) (*Bridge, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	b := &Bridge{cfg: cfg, members: make(map[string]*member)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	for i, g := range cfg.Gateways {
		gw, err := b.newGateway(i, g)
		if err != nil {
			b.cancel()
			return nil, err
		}
		b.gateways = append(b.gateways, gw)
	}
	return b, nil
}

// Start connects the gateways and returns when all were tried. It fails when none
// got in, and may be called again then; those that did not get in are tried again
// in the background.
func (b *Bridge) Start(ctx context.Context) error {
	errs := make([]error, len(b.gateways))
	var all sync.WaitGroup
	for i, g := range b.gateways {
		all.Go(func() {
			if err := g.dev.Connect(ctx); err != nil {
				errs[i] = fmt.Errorf("bridge: gateway %d: %w", i, err)
			}
		})
	}
	all.Wait()
	failed := 0
	for i, err := range errs {
		if err != nil {
			failed++
			b.cfg.Logger.Warn("gateway not connected", "gateway", i, "error", err)
		}
	}
	if failed == len(errs) {
		return errors.Join(errs...)
	}
	for i, err := range errs {
		if err != nil {
			b.spawn(b.gateways[i].keepTrying)
		}
	}
	return nil
}

// spawn runs f unless the Bridge is closed; Close waits for it.
func (b *Bridge) spawn(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.work.Go(f)
	return true
}

// Session returns the session of an identity.
func (b *Bridge) Session(identity string) (*Session, bool) { return b.cfg.Sessions.Load(identity) }

// Stats returns the counters.
func (b *Bridge) Stats() Stats {
	c := &b.count
	s := Stats{
		Sessions: c.sessions.Load(), Waiting: c.waiting.Load(),
		Sent: c.sent.Load(), Refused: c.refused.Load(), Dropped: c.dropped.Load(),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.gateways {
		s.Carried = append(s.Carried, g.carries)
	}
	return s
}

// Online opens a session: it looks the identity up, has the Authenticator check
// the credentials, and logs the device in at the platform; it returns when the
// platform accepted it or ctx ended. While the platform cannot be reached it
// waits. Errors are ErrUnmapped, the Authenticator's, ErrInUse, ErrFull,
// ErrClosed, ctx's and those of device.Client.Connect; the session's channel is
// then the caller's to close, and the session may be tried again. One that was open
// cannot be opened again.
func (b *Bridge) Online(ctx context.Context, s *Session, credentials ...string) error {
	id, err := b.cfg.Identities.Lookup(ctx, s.identity)
	if err != nil {
		return err
	}
	if a := b.cfg.Authenticator; a != nil {
		if err := a.Authenticate(ctx, s.identity, credentials...); err != nil {
			return fmt.Errorf("bridge: %q: %w", s.identity, err)
		}
	}
	m, err := b.hold(ctx, s.identity)
	if err != nil {
		return err
	}
	defer m.give()
	return b.open(ctx, m, s, id)
}

// open makes s the session of m; m's turn is held.
func (b *Bridge) open(ctx context.Context, m *member, s *Session, id hal.Identity) error {
	if s.opened.Load() {
		b.forgetIdle(m)
		return fmt.Errorf("bridge: session of %q was open before", s.identity)
	}
	if _, ok := b.cfg.Sessions.Load(s.identity); ok && b.cfg.Exclusive {
		b.forgetIdle(m)
		return fmt.Errorf("%w: %q", ErrInUse, s.identity)
	}
	if m.device() != id.Device {
		m.logout(b, ErrUnmapped)
	}
	s.device = id.Device
	if err := b.login(ctx, m, id); err != nil {
		b.forgetIdle(m)
		return err
	}
	m.accept()
	s.opened.Store(true)
	b.count.sessions.Add(1)
	if old := b.cfg.Sessions.Swap(s); old != nil {
		b.finish(old, ErrReplaced)
	}
	if b.ctx.Err() != nil { // Close may have looked for sessions before
		b.finish(s, ErrClosed)
		return ErrClosed
	}
	s.Heard()
	s.watch(func() { b.late(s) })
	b.cfg.Logger.Debug("device online", "identity", s.identity, "device", s.device)
	if m.current() == nil { // the platform ended it meanwhile
		b.drop(s, ErrTaken)
		return ErrTaken
	}
	b.kick(m)
	return nil
}

// late is told that heartbeats of s are missing.
func (b *Bridge) late(s *Session) {
	if f := b.cfg.TimedOut; f != nil {
		b.spawn(func() { f(b.ctx, s) })
		return
	}
	b.drop(s, ErrSilent)
}

// Offline ends the session of an identity. It waits until what waits was sent, as
// long as ctx lasts; the rest is dropped. The device is logged out at the
// platform. Without a session it is ErrOffline.
func (b *Bridge) Offline(ctx context.Context, identity string) error {
	s, ok := b.cfg.Sessions.Load(identity)
	if !ok {
		return fmt.Errorf("%w: %q", ErrOffline, identity)
	}
	b.mu.Lock()
	m := b.members[identity]
	b.mu.Unlock()
	if m == nil {
		b.finish(s, ErrOffline)
		return nil
	}
	if err := m.take(ctx); err != nil {
		return err
	}
	defer m.give()
	if !b.finish(s, ErrOffline) {
		return nil // a newer session has the place
	}
	m.drain(ctx)
	m.logout(b, ErrOffline)
	b.forgetIdle(m)
	return nil
}

// finish ends a session and closes its channel, and reports whether its identity
// has none now.
func (b *Bridge) finish(s *Session, cause error) bool {
	first := s.end(cause)
	deleted := b.cfg.Sessions.Delete(s) // before Close, which drops the session itself
	if first {
		b.count.sessions.Add(-1)
		s.channel.Close(cause)
		b.cfg.Logger.Debug("session ended", "identity", s.identity, "cause", cause)
	}
	return deleted
}

// drop ends a session whose device is gone. The login at the platform lingers
// while messages wait.
func (b *Bridge) drop(s *Session, cause error) {
	if !b.finish(s, cause) {
		return
	}
	b.mu.Lock()
	m := b.members[s.identity]
	b.mu.Unlock()
	if m == nil {
		return
	}
	b.spawn(func() { b.leave(m) })
}

// Close ends all sessions, drops what waits, logs the gateways out and returns
// when no goroutine of the Bridge is left. Call Offline before for devices whose
// messages must arrive. It must not be called from a handler.
func (b *Bridge) Close() error {
	b.mu.Lock()
	b.closed = true
	members := make([]*member, 0, len(b.members))
	for _, m := range b.members {
		members = append(members, m)
	}
	b.mu.Unlock()
	b.cancel()
	for _, g := range b.gateways {
		g.stop()
	}
	var errs []error
	for _, g := range b.gateways {
		if err := g.dev.Close(); err != nil && !errors.Is(err, device.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, m := range members {
		if s, ok := b.cfg.Sessions.Load(m.identity); ok {
			b.finish(s, ErrClosed)
		}
	}
	b.work.Wait()
	for _, m := range members {
		m.logout(b, ErrClosed)
	}
	return errors.Join(errs...)
}
