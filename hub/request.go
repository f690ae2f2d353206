// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// request is what makes a session that of a single request (HTTP, CoAP): it has
// no presence, takes nothing over, and hears what answers it and nothing else.
type request struct {
	messageID atomic.Int64 // of the last message, once its done is called
}

// connectRequest lets a request in: by its token, or by any proof that a
// connection may show.
func (h *Hub) connectRequest(ctx context.Context, r *hal.ConnectRequest) (*session, error) {
	if h.draining.Load() {
		return nil, &hal.RefusedError{Reason: hal.Unavailable, Err: ErrClosed}
	}
	var l login
	var d *device
	var err error
	if token, ok := r.Credential.(auth.Token); ok {
		l, d, err = h.bearer(ctx, r, token)
	} else if l, err = h.hear(ctx, r); err == nil {
		d, err = h.authenticate(ctx, r, l)
	}
	if err != nil {
		return nil, err
	}
	if err := h.activate(ctx, l, d); err != nil {
		h.release(d)
		return nil, err
	}
	return h.newRequest(d, r, l), nil
}

// bearer returns whose token a request shows. Only tokens that this hub never
// signed count as guesses: one that is expired or revoked was right once, and a
// right one is heard wherever others guess.
func (h *Hub) bearer(ctx context.Context, r *hal.ConnectRequest, token auth.Token) (login, *device, error) {
	c, err := h.tokens.check(token.Bytes(), time.Now())
	l := login{device: c.Device, kind: loginToken}
	if err != nil {
		if !errors.Is(err, auth.ErrTokenExpired) {
			if h.tooMany(ctx, r.RemoteAddr, l.device) {
				return l, nil, h.refuse(l, hal.Unavailable, CauseRateLimit, fmt.Errorf("%w: failed logins", ErrThrottled))
			}
			h.guard.failed(r.RemoteAddr, l.device)
		}
		return l, nil, h.refuse(l, hal.BadCredentials, CauseBadCredentials, err)
	}
	d, err := h.acquire(ctx, c.Device)
	switch {
	case errors.Is(err, ErrUnknownDevice), errors.Is(err, ErrUnknownProduct):
		return l, nil, h.refuse(l, hal.BadCredentials, CauseBadCredentials, fmt.Errorf("%w: %w", auth.ErrBadSign, err))
	case err != nil:
		return l, nil, h.refuse(l, hal.Unavailable, CauseSystemError, err)
	}
	if err := d.stands(c, auth.UseRequests); err != nil {
		h.release(d)
		return l, nil, h.refuse(l, hal.BadCredentials, CauseBadCredentials, err)
	}
	if d.disabled() {
		h.release(d)
		return l, nil, h.refuse(l, hal.NotAuthorized, CauseDisabledDevice, ErrDisabled)
	}
	return l, d, nil
}

func (d *device) disabled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rec.Disabled
}

// activate notes, durably, that a device came for the first time.
func (h *Hub) activate(ctx context.Context, l login, d *device) error {
	d.mu.Lock()
	active := !d.rec.Activated.IsZero()
	d.mu.Unlock()
	if active {
		return nil
	}
	err := h.do(ctx, d, func(b *batch) error {
		if d.rec.Disabled { // since somebody looked
			return ErrDisabled
		}
		d.activate(b)
		return nil
	})
	switch {
	case errors.Is(err, ErrDisabled):
		return h.refuse(l, hal.NotAuthorized, CauseDisabledDevice, err)
	case err != nil:
		return h.refuse(l, hal.Unavailable, CauseSystemError, err)
	}
	return nil
}

// activate is the worker's half; the device's lock is held.
func (d *device) activate(b *batch) {
	if d.rec.Activated.IsZero() {
		d.rec.Activated = b.now.UTC()
		b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
	}
}

// newRequest makes the session of a request. The reference to the device that the
// caller holds becomes the session's.
func (h *Hub) newRequest(d *device, r *hal.ConnectRequest, l login) *session {
	s := h.newSession(d, r, l)
	s.req, s.clean = new(request), true
	s.subs.Store(noFilters[true]) // its answer is what it asked for
	return s
}

// MessageID implements hal.Numbered.
func (s *session) MessageID() int64 {
	if s.req == nil {
		return 0
	}
	return s.req.messageID.Load()
}

// throttleRequest applies the uplink limits to a request. Nobody waits: a client
// that asks can be told.
func (s *session) throttleRequest(m *iot.Message) error {
	now := time.Now().UnixNano()
	l, d := &s.h.rates, s.d
	what := ""
	switch {
	case l.up1.takeShared(&d.requests, now, 1) > 0:
		what = "requests a second; refused"
	case s.h.uplinks.take(now, 1) > 0:
		what = "messages a second of the hub; request refused"
	case l.in.takeShared(&d.requestBytes, now, len(m.Payload)+len(m.Topic)) > 0:
		what = "bytes a second; request refused"
	default:
		return nil
	}
	second := now / int64(time.Second)
	if last := d.overrun.Load(); last != second && d.overrun.CompareAndSwap(last, second) {
		s.reject(*m, CauseRateLimit, what)
	}
	return &hal.RejectedError{Err: ErrThrottled}
}

// putRequest queues a message of a request. No listener is known to the hub that
// would stop before it does, so a hub that stops lets nothing more in here.
func (s *session) putRequest(it item) {
	s.h.entering.RLock()
	defer s.h.entering.RUnlock()
	if s.h.draining.Load() {
		it.done(nil, ErrClosed)
		s.leave(it.size)
		return
	}
	if s.raw != nil && s.translates(it.m.Topic) {
		s.receiveRaw(it)
		return
	}
	s.d.put(it)
}

// heard checks on the worker that the device may still ask, and notes the number
// of its message.
func (s *session) heard(id int64) error {
	if s.d.gone || s.d.rec.Disabled {
		return ErrDisabled
	}
	s.req.messageID.Store(id)
	return nil
}

// endRequest gives the reference to the device back, behind what is queued.
func (s *session) endRequest() {
	if s.items.Load() == 0 {
		s.h.linger(s.d)
		return
	}
	s.d.post(func(b *batch) { b.then(func(error) { s.h.linger(s.d) }) })
}
