// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"

	"github.com/openalink/iot/hal"
)

func (h *Hub) newSession(d *device, r *hal.ConnectRequest, l login) *session {
	s := &session{
		h: h, d: d, link: r.Link, clean: r.CleanSession,
		extRRPC: l.extRRPC(),
		limited: h.rates.uplinkLimited(),
	}
	if r.Kind == hal.Request { // nobody waits for its end, and no revocation finds it
		s.makeRaw(s)
		return s
	}
	s.ended, s.room = make(chan struct{}), make(chan struct{}, 1)
	if l.kind != loginSign {
		s.proof = &shownProof{token: l.kind == loginToken || l.kind == loginConnNWL, cert: l.cert.Fingerprint()}
	}
	if d.product.gateway {
		s.gw = new(gateway)
	}
	s.makeRaw(s)
	if r.RemoteAddr != nil {
		s.addr = r.RemoteAddr.String()
	}
	return s
}

// open makes s the session of its device, in line with everything queued for the
// device, and waits until its presence is durable. The reference to the device
// that the caller holds becomes the session's.
func (h *Hub) open(ctx context.Context, s *session, l login) (resumed bool, err error) {
	d := s.d
	implicit := l.implicit()
	err = h.do(ctx, d, func(b *batch) error {
		if d.rec.Disabled { // since admit looked
			return h.refuse(l, hal.NotAuthorized, CauseDisabledDevice, ErrDisabled)
		}
		resumed = s.start(b, implicit)
		return nil
	})
	if err != nil {
		// The worker may have opened it, or open it still: nobody will close it else.
		d.post(func(b *batch) { s.abandon(b) })
	}
	return resumed, err
}

// noFilters are the subscriptions sessions begin with, shared by all that stay so.
var noFilters = map[bool]*subscriptions{false: {}, true: {Implicit: true}}

// start runs on the worker with the device's lock held.
func (s *session) start(b *batch, implicit bool) (resumed bool) {
	h, d := s.h, s.d
	s.number = h.ids.next(b.now)
	if old := d.sess; old != nil {
		s.kick(b, old)
	}
	subs := noFilters[implicit]
	switch {
	case s.clean:
		s.forgetStored(b)
	case d.stored != nil:
		resumed = true
		kept := d.stored.subscriptions
		kept.Implicit = implicit
		subs = &kept
		fallthrough
	default:
		d.stored = &storedSession{*subs}
		b.st.Put(deviceKey(prefixSession, d.id), encodeJSON(d.stored))
	}
	s.subs.Store(subs)
	d.activate(b)
	d.sess = s
	s.opened = true
	d.queue.rewind(b, d, s.clean)
	h.pushDesired(b, d)
	h.connected.Add(1)
	s.presence(b, PresenceEvent{Online: true, Addr: s.addr})
	b.touch(d)
	h.greet(b, d)
	b.then(func(err error) {
		if err == nil {
			d.post(func(b *batch) { s.pump(b) })
		}
	})
	return resumed
}

// kick ends the older session of the same device. Messages of it that are still
// to come are refused: its connection closes.
func (s *session) kick(b *batch, old *session) {
	cause := hal.CauseKicked
	if old.cause.CompareAndSwap(nil, &cause) {
		old.wake()
	}
	old.stop(b)
	link := old.link
	b.then(func(error) { go link.Close(hal.CauseKicked) })
}

// closed is the worker's half of end.
func (s *session) closed(b *batch) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.stop(b)
}

// abandon takes back a start whose Connect gave up waiting.
func (s *session) abandon(b *batch) {
	cause := hal.CauseReset
	if s.cause.CompareAndSwap(nil, &cause) {
		s.wake()
	}
	if !s.opened {
		s.h.goodbye(s.d)
		return
	}
	s.closed(b)
}

// stop writes the end of the session, once; the device's lock is held.
func (s *session) stop(b *batch) {
	d := s.d
	if !s.opened || d.sess != s {
		return
	}
	d.sess = nil
	s.h.connected.Add(-1)
	b.touch(d)
	s.presence(b, PresenceEvent{Online: false, Cause: *s.cause.Load(), Addr: s.addr})
	if s.clean {
		d.queue.dropClean(b, s)
	}
	if s.gw != nil {
		s.gw.lose(b)
	}
	if s.via != nil {
		s.part(b)
	}
	b.then(func(error) { s.h.goodbye(d) })
}

// forgetStored drops what an earlier session with clean session 0 left.
func (s *session) forgetStored(b *batch) {
	if s.d.stored != nil {
		s.d.stored = nil
		b.st.Delete(deviceKey(prefixSession, s.d.id))
	}
	s.d.queue.dropClean(b, s)
}
