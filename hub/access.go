// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Connect implements hal.Access: the login of a device with its triple
// (wire facts section 3.2). A refused login leaves one log entry with its cause.
func (h *Hub) Connect(ctx context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	s, resumed, err := h.connect(ctx, r)
	if err != nil {
		return hal.Accepted{}, err
	}
	return hal.Accepted{
		Session: s, Resumed: resumed, KeepAlive: r.KeepAlive * 3 / 2, MaxUnacked: h.limits.Unacked,
	}, nil
}

func (h *Hub) connect(ctx context.Context, r *hal.ConnectRequest) (*session, bool, error) {
	if h.draining.Load() {
		return nil, false, &hal.RefusedError{Reason: hal.Unavailable, Err: ErrClosed}
	}
	login, reason, err := parseLogin(r)
	if err != nil {
		return nil, false, h.refuse(login, reason, refusalCause(reason), err)
	}
	if err := h.checkKeepAlive(r); err != nil {
		return nil, false, h.refuse(login, hal.NotAuthorized, CauseBadKeepAlive, err)
	}
	if h.connects.take(time.Now().UnixNano(), 1) > 0 {
		return nil, false, h.refuse(login, hal.Unavailable, CauseRateLimit, fmt.Errorf("%w: logins a second of the hub", ErrThrottled))
	}
	d, err := h.authenticate(ctx, login)
	if err != nil {
		return nil, false, err
	}
	s := h.newSession(d, r, login)
	resumed, err := h.open(ctx, s, login)
	if err != nil {
		return nil, false, err
	}
	if r.Will {
		h.log(LogEntry{
			Device: d.id, Kind: Behaviour, Operation: OpConnect, Status: Success,
			Cause: CauseIgnored, Detail: "wills are accepted and never sent",
		})
	}
	return s, resumed, nil
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

// authenticate finds the device and checks its sign. Unknown device and wrong
// secret take the same work and get the same answer.
func (h *Hub) authenticate(ctx context.Context, l login) (*device, error) {
	if kind, ok := l.client.Get("authtype"); ok && kind != "" {
		return nil, h.refuse(l, hal.NotAuthorized, CauseLoginKind, fmt.Errorf("%w: login kind %.32q", ErrInvalid, kind))
	}
	d, err := h.acquire(ctx, l.device)
	switch {
	case errors.Is(err, ErrUnknownDevice), errors.Is(err, ErrUnknownProduct):
		_ = l.client.Verify(l.password, l.device, h.decoy)
		return nil, h.refuse(l, hal.BadCredentials, CauseBadCredentials, err)
	case err != nil:
		return nil, h.refuse(l, hal.Unavailable, CauseSystemError, err)
	}
	secret, err := h.secretOf(ctx, d)
	if err == nil {
		err = l.client.Verify(l.password, l.device, secret)
	}
	if err == nil {
		err = h.admit(l, d)
	} else if errors.Is(err, auth.ErrBadSign) || errors.Is(err, auth.ErrUnknownDevice) {
		err = h.refuse(l, hal.BadCredentials, CauseBadCredentials, err)
	} else {
		err = h.refuse(l, hal.Unavailable, CauseSystemError, err)
	}
	if err != nil {
		h.release(d)
		return nil, err
	}
	return d, nil
}

// admit decides about a device that proved who it is.
func (h *Hub) admit(l login, d *device) error {
	d.mu.Lock()
	disabled, gone := d.rec.Disabled, d.gone
	d.mu.Unlock()
	if disabled || gone {
		return h.refuse(l, hal.NotAuthorized, CauseDisabledDevice, ErrDisabled)
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
