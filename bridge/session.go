// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
)

// Channel reaches a device. A *Conn is one.
type Channel interface {
	// Send hands a message to the device, in the protocol's own terms.
	Send(ctx context.Context, m any) error
	// Close ends the connection to the device; cause says why. It must be safe to
	// call more than once and must not wait for the bridge.
	Close(cause error)
}

// SessionOptions is what a Session may have beside its identity.
type SessionOptions struct {
	// Heartbeat is how often the device is heard of at least; zero does not watch.
	Heartbeat time.Duration
	// Probes is how many heartbeats may be missing.
	Probes int
	// Downlink takes what the platform sends to this device; nil is
	// Config.Downlink.
	Downlink Downlink
}

// Session is a device's conversation with the bridge. It is safe for concurrent
// use.
type Session struct {
	identity string
	channel  Channel
	opts     SessionOptions
	device   iot.DeviceID // set by Online

	opened atomic.Bool
	heard  atomic.Int64 // Unix nanoseconds
	once   sync.Once
	done   chan struct{}
	cause  error // written before done closes

	mu    sync.Mutex
	timer *time.Timer
}

// NewSession makes a session of an original identity over a channel. Bridge.Online
// opens it. A Session is used once.
func NewSession(identity string, ch Channel, opts SessionOptions) *Session {
	s := &Session{identity: identity, channel: ch, opts: opts, done: make(chan struct{})}
	s.Heard()
	return s
}

// Identity returns the original identity.
func (s *Session) Identity() string { return s.identity }

// Device returns the platform's name of the device; zero before Online.
func (s *Session) Device() iot.DeviceID { return s.device }

// Channel returns what reaches the device.
func (s *Session) Channel() Channel { return s.channel }

// Heard notes that the device was heard of. Publishing does so too.
func (s *Session) Heard() { s.heard.Store(time.Now().UnixNano()) }

// Done is closed when the session ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Cause tells why the session ended, nil while it lives. A channel that was closed
// for no reason makes it ErrOffline.
func (s *Session) Cause() error {
	select {
	case <-s.done:
		return s.cause
	default:
		return nil
	}
}

// end ends the session and reports whether this call did.
func (s *Session) end(cause error) bool {
	first := false
	s.once.Do(func() {
		first = true
		if s.cause = cause; cause == nil {
			s.cause = ErrOffline
		}
		close(s.done)
		s.mu.Lock()
		if s.timer != nil {
			s.timer.Stop()
		}
		s.mu.Unlock()
	})
	return first
}

// watch calls late when more than Probes heartbeats are missing, and again after
// each further one.
func (s *Session) watch(late func()) {
	if s.opts.Heartbeat <= 0 {
		return
	}
	patience := s.opts.Heartbeat * time.Duration(s.opts.Probes+1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(patience, func() {
		if s.Cause() != nil {
			return
		}
		wait := patience - time.Since(time.Unix(0, s.heard.Load()))
		if wait <= 0 {
			wait = s.opts.Heartbeat
			late()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.Cause() == nil {
			s.timer.Reset(wait)
		}
	})
}

// SessionStore keeps the sessions by original identity. It must be safe for
// concurrent use and must not call the Bridge.
type SessionStore interface {
	// Load returns the session of an identity.
	Load(identity string) (*Session, bool)
	// Swap makes s the session of its identity and returns the one before, or nil.
	Swap(s *Session) (before *Session)
	// Delete forgets s unless another took its place, and reports whether it did.
	Delete(s *Session) bool
}

// Sessions is the SessionStore in memory. The zero value is ready.
type Sessions struct{ all sync.Map }

// Load implements SessionStore.
func (st *Sessions) Load(identity string) (*Session, bool) {
	v, ok := st.all.Load(identity)
	if !ok {
		return nil, false
	}
	return v.(*Session), true
}

// Swap implements SessionStore.
func (st *Sessions) Swap(s *Session) *Session {
	v, ok := st.all.Swap(s.identity, s)
	if !ok {
		return nil
	}
	return v.(*Session)
}

// Delete implements SessionStore.
func (st *Sessions) Delete(s *Session) bool { return st.all.CompareAndDelete(s.identity, s) }
