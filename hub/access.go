// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// Connect implements hal.Access: the login of a device with its signature, a
// token or a certificate (wire facts sections 3.2, 4 and 5), or the short
// connection of one that registers. A hal.Request shows a token (auth.Token) or
// what a connection would; it may not register. A refused login leaves one log
// entry with its cause.
func (h *Hub) Connect(ctx context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	if r.Kind == hal.Request {
		s, err := h.connectRequest(ctx, r)
		if err != nil {
			return hal.Accepted{}, err
		}
		return hal.Accepted{Session: s}, nil
	}
	s, resumed, err := h.connect(ctx, r)
	if err != nil {
		return hal.Accepted{}, err
	}
	return hal.Accepted{
		Session: s, Resumed: resumed, KeepAlive: r.KeepAlive * 3 / 2, MaxUnacked: h.limits.Unacked,
	}, nil
}

func (h *Hub) connect(ctx context.Context, r *hal.ConnectRequest) (hal.Session, bool, error) {
	if h.draining.Load() {
		return nil, false, &hal.RefusedError{Reason: hal.Unavailable, Err: ErrClosed}
	}
	l, err := h.hear(ctx, r)
	if err != nil {
		return nil, false, err
	}
	if l.kind == loginRegister || l.kind == loginRegNWL {
		s, err := h.enrolOver(ctx, r, l)
		return s, false, err
	}
	if err := h.checkKeepAlive(r); err != nil {
		return nil, false, h.refuse(l, hal.NotAuthorized, CauseBadKeepAlive, err)
	}
	d, err := h.authenticate(ctx, r, l)
	if err != nil {
		return nil, false, err
	}
	s := h.newSession(d, r, l)
	resumed, err := h.open(ctx, s, l)
	if err != nil {
		return nil, false, err
	}
	h.welcome(r, s, l)
	return s, resumed, nil
}

// hear reads a login, unless too many failed.
func (h *Hub) hear(ctx context.Context, r *hal.ConnectRequest) (login, error) {
	l, reason, err := h.parseLogin(ctx, r)
	if h.tooMany(ctx, r.RemoteAddr, l.device) {
		return l, h.refuse(l, hal.Unavailable, CauseRateLimit, fmt.Errorf("%w: failed logins", ErrThrottled))
	}
	if err != nil {
		h.guard.failed(r.RemoteAddr, l.device)
		return l, h.refuse(l, reason, refusalCause(reason), err)
	}
	return l, nil
}

// welcome does what is due right behind a login.
func (h *Hub) welcome(r *hal.ConnectRequest, s *session, l login) {
	if r.Will {
		h.log(LogEntry{
			Device: s.d.id, Kind: Behaviour, Operation: OpConnect, Status: Success,
			Cause: CauseIgnored, Detail: "wills are accepted and never sent",
		})
	}
	if l.kind == loginCert { // it may not know its name (wire facts section 5.1)
		s.sendNow(h.ctx, iot.Message{Topic: topic.Ext("auth/identity/response", iot.DeviceID{}), Payload: jsonText(nameOf(s.d.id))}, nil)
	}
}

func refusalCause(r hal.Reason) LogCause {
	if r == hal.BadClientID {
		return CauseBadClientID
	}
	return CauseBadCredentials
}

// refuse logs a refusal and makes its error.
func (h *Hub) refuse(l login, reason hal.Reason, cause LogCause, err error) error {
	h.log(LogEntry{
		Device: l.device, Kind: Behaviour, Operation: OpConnect, Status: Failure, Cause: cause,
		Detail: strings.TrimPrefix(err.Error(), "hub: "),
	})
	return &hal.RefusedError{Reason: reason, Err: err}
}

func (h *Hub) checkKeepAlive(r *hal.ConnectRequest) error {
	lo, hi := h.limits.KeepAliveMin, h.limits.KeepAliveMax
	if lo > 0 && r.KeepAlive < lo || hi > 0 && r.KeepAlive > hi {
		return fmt.Errorf("%w: keep-alive %v outside %v to %v", ErrInvalid, r.KeepAlive, lo, hi)
	}
	return nil
}

// authenticate finds the device and checks its proof. Unknown device and wrong
// secret take the same work and get the same answer.
func (h *Hub) authenticate(ctx context.Context, r *hal.ConnectRequest, l login) (*device, error) {
	d, err := h.acquire(ctx, l.device)
	switch {
	case errors.Is(err, ErrUnknownDevice), errors.Is(err, ErrUnknownProduct):
		h.pretend(ctx, l.device)
		_ = l.client.Verify(l.password, l.device, h.decoy)
		h.guard.failed(r.RemoteAddr, l.device)
		return nil, h.refuse(l, hal.BadCredentials, CauseBadCredentials, err)
	case err != nil:
		return nil, h.refuse(l, hal.Unavailable, CauseSystemError, err)
	}
	if err = h.verify(ctx, l, d); err != nil {
		err = h.refuseProof(r, l, err)
	} else {
		err = h.admit(l, d)
	}
	if err != nil {
		h.release(d)
		return nil, err
	}
	return d, nil
}

// pretend does for an unknown device what acquire does for one that is not in
// memory: the time of a refusal does not tell which it was.
func (h *Hub) pretend(ctx context.Context, id iot.DeviceID) {
	d := &device{id: id}
	_ = decodeJSON(h.decoyRecord, &d.rec)
	_ = h.unseal(d)
	_ = h.loadSession(ctx, d)
	_ = h.loadQueue(ctx, d)
}

// refuseProof answers a proof that verify did not accept.
func (h *Hub) refuseProof(r *hal.ConnectRequest, l login, err error) error {
	switch {
	case errors.Is(err, errLoginKind):
		return h.refuse(l, hal.NotAuthorized, CauseLoginKind, err)
	case errors.Is(err, auth.ErrTokenExpired), errors.Is(err, auth.ErrBadSign) && l.kind == loginToken:
		h.guard.failed(r.RemoteAddr, l.device)
		return h.refuse(l, hal.Unavailable, CauseBadCredentials, err) // wire facts section 3.3
	case errors.Is(err, auth.ErrBadSign), errors.Is(err, auth.ErrUnknownDevice), errors.Is(err, auth.ErrBadMethod):
		h.guard.failed(r.RemoteAddr, l.device)
		return h.refuse(l, hal.BadCredentials, CauseBadCredentials, err)
	}
	return h.refuse(l, hal.Unavailable, CauseSystemError, err)
}

// admit decides about a device that proved who it is.
func (h *Hub) admit(l login, d *device) error {
	d.mu.Lock()
	disabled, gone := d.rec.Disabled, d.gone
	d.mu.Unlock()
	if disabled || gone {
		return h.refuse(l, hal.NotAuthorized, CauseDisabledDevice, ErrDisabled)
	}
	// Only logins that would succeed count: wrong ones lock nobody out.
	if h.connects.take(time.Now().UnixNano(), 1) > 0 {
		return h.refuse(l, hal.Unavailable, CauseRateLimit, fmt.Errorf("%w: logins a second of the hub", ErrThrottled))
	}
	if h.rates.logins.takeShared(&d.connects, time.Now().UnixNano(), 1) > 0 {
		return h.refuse(l, hal.Unavailable, CauseRateLimit, fmt.Errorf("%w: %d logins a minute", ErrThrottled, h.limits.ConnectsPerMinute))
	}
	return nil
}

// secretOf returns the DeviceSecret: the embedder's source first, if any.
func (h *Hub) secretOf(ctx context.Context, d *device) (auth.Secret, error) {
	if h.secrets != nil {
		return h.secrets.DeviceSecret(ctx, d.id)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.secret, nil
}
