// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/store"
)

// tokens are the keys tokens are signed with, newest first.
type tokens struct {
	mu      sync.Mutex
	keys    auth.TokenKeys
	records []tokenKeyRecord

	seen seen
}

// tokenKeyRecord is a key as stored.
type tokenKeyRecord struct {
	ID     uint16    `json:"id"`
	Secret string    `json:"secret"`
	Made   time.Time `json:"made"`
}

var keyTokens = []byte("m/tokens")

const tokenKeyPlace = "token key"

func (h *Hub) loadTokenKeys(ctx context.Context) error {
	e, err := h.store.Get(ctx, keyTokens)
	if errors.Is(err, store.ErrNotFound) {
		return h.RotateTokenKey(ctx)
	}
	if err != nil {
		return err
	}
	if err := decodeJSON(e.Value, &h.tokens.records); err != nil {
		return fmt.Errorf("hub: token keys: %w", err)
	}
	h.tokens.keys, err = h.tokenKeys(h.tokens.records)
	return err
}

func (h *Hub) tokenKeys(records []tokenKeyRecord) (auth.TokenKeys, error) {
	var keys auth.TokenKeys
	for _, r := range records {
		secret, err := h.unsealText(r.Secret, tokenKeyPlace)
		if err != nil {
			return nil, fmt.Errorf("hub: token keys: %w", err)
		}
		keys = append(keys, auth.TokenKey{ID: r.ID, Secret: secret})
	}
	return keys, nil
}

// RotateTokenKey has tokens signed with a new key from now on. Tokens in use stay
// good: older keys are dropped when all they signed is expired.
func (h *Hub) RotateTokenKey(ctx context.Context) error {
	t := &h.tokens
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now().UTC()
	fresh := tokenKeyRecord{ID: 1, Secret: h.seal(auth.NewSecret(h.randomHex(32)), tokenKeyPlace), Made: now}
	if len(t.records) > 0 {
		fresh.ID = t.records[0].ID + 1
	}
	records := []tokenKeyRecord{fresh}
	oldest := now.Add(-max(h.limits.TokenTTL, h.limits.PreAuthTTL))
	for i, r := range t.records {
		// A key signed until the one in front of it was made.
		if i == 0 || !t.records[i-1].Made.Before(oldest) {
			records = append(records, r)
		}
	}
	keys, err := h.tokenKeys(records)
	if err != nil {
		return err
	}
	var b store.Batch
	b.Put(keyTokens, encodeJSON(records))
	if err := store.Commit(ctx, h.store, &b); err != nil {
		return err
	}
	t.records, t.keys = records, keys
	return nil
}

func (t *tokens) current() auth.TokenKeys {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keys
}

// IssueToken implements hal.Tokens.
func (h *Hub) IssueToken(ctx context.Context, p *hal.Proof, use auth.Use) (hal.TokenGrant, error) {
	d, err := h.prove(ctx, p)
	if err != nil {
		return hal.TokenGrant{}, err
	}
	ttl := h.limits.PreAuthTTL
	if use == auth.UseRequests {
		defer h.linger(d)
		ttl = h.limits.TokenTTL
		if err := h.admitRequests(ctx, d); err != nil {
			return hal.TokenGrant{}, err
		}
	} else {
		defer h.release(d)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec.Disabled || d.gone {
		return hal.TokenGrant{}, h.refuse(login{device: d.id}, hal.NotAuthorized, CauseDisabledDevice, ErrDisabled)
	}
	claims := auth.Claims{
		Device: d.id, Use: use, Version: uint32(d.rec.SecretVersion), Epoch: d.rec.access().Epoch, Expires: time.Now().Add(ttl),
	}
	return hal.TokenGrant{Token: h.tokens.current().Issue(claims), IotID: d.rec.IotID, Expires: claims.Expires}, nil
}

// admitRequests is the login of a device that will speak by requests: it counts as
// one, activates the device, and is logged.
func (h *Hub) admitRequests(ctx context.Context, d *device) error {
	l := login{device: d.id}
	if h.draining.Load() {
		return h.refuse(l, hal.Unavailable, CauseSystemError, ErrClosed)
	}
	if err := h.admit(l, d); err != nil {
		return err
	}
	if err := h.activate(ctx, l, d); err != nil {
		return err
	}
	h.log(LogEntry{Device: d.id, Kind: Behaviour, Operation: OpConnect, Status: Success, Detail: "token for requests"})
	return nil
}

// prove checks a proof with the device's own secret and returns the device, with
// a reference.
func (h *Hub) prove(ctx context.Context, p *hal.Proof) (*device, error) {
	l := login{device: p.Device}
	if h.tooMany(ctx, p.RemoteAddr, p.Device) {
		return nil, h.refuse(l, hal.Unavailable, CauseRateLimit, fmt.Errorf("%w: failed logins", ErrThrottled))
	}
	d, err := h.acquire(ctx, p.Device)
	switch {
	case errors.Is(err, ErrUnknownDevice), errors.Is(err, ErrUnknownProduct):
		h.pretend(ctx, p.Device)
		_ = auth.VerifySign(p.Method, h.decoy, p.Sign, p.Params...)
		err = fmt.Errorf("%w: %w", auth.ErrUnknownDevice, err)
		if h.hideUnknown {
			err = fmt.Errorf("%w: %w", auth.ErrBadSign, ErrUnknownDevice)
		}
		return nil, h.disproved(p, err)
	case err != nil:
		return nil, h.refuse(l, hal.Unavailable, CauseSystemError, err)
	case d.product.usesCertificates():
		h.release(d)
		return nil, h.disproved(p, hal.ErrOtherAuth)
	}
	secret, err := h.secretOf(ctx, d)
	if err == nil {
		err = auth.VerifySign(p.Method, secret, p.Sign, p.Params...)
	}
	if err != nil {
		h.release(d)
		return nil, h.disproved(p, err)
	}
	return d, nil
}

// disproved logs and counts a proof that failed.
func (h *Hub) disproved(p *hal.Proof, err error) error {
	h.guard.failed(p.RemoteAddr, p.Device)
	return h.refuse(login{device: p.Device}, hal.BadCredentials, CauseBadCredentials, err)
}

// VerifyToken implements hal.Tokens.
func (h *Hub) VerifyToken(ctx context.Context, token auth.Token, use auth.Use) (iot.DeviceID, error) {
	c, err := h.tokens.check(token.Bytes(), time.Now())
	if err != nil {
		return iot.DeviceID{}, err
	}
	d, err := h.acquire(ctx, c.Device)
	if errors.Is(err, ErrUnknownDevice) || errors.Is(err, ErrUnknownProduct) {
		return iot.DeviceID{}, fmt.Errorf("%w: %w", auth.ErrBadSign, err)
	}
	if err != nil {
		return iot.DeviceID{}, &hal.RefusedError{Reason: hal.Unavailable, Err: err}
	}
	defer h.release(d)
	if err := d.stands(c, use); err != nil {
		return iot.DeviceID{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec.Disabled {
		return iot.DeviceID{}, &hal.RefusedError{Reason: hal.NotAuthorized, Err: ErrDisabled}
	}
	return d.id, nil
}

// stands reports whether a device still stands behind a token.
func (d *device) stands(c auth.Claims, use auth.Use) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone || c.Use != use || c.Version != uint32(d.rec.SecretVersion) || c.Epoch != d.rec.access().Epoch {
		return auth.ErrBadSign
	}
	return nil
}

// checkToken checks the token a device shows at CONNECT.
func (h *Hub) checkToken(d *device, token []byte, use auth.Use) error {
	c, err := h.tokens.current().Check(token, time.Now())
	if err != nil {
		return err
	}
	if c.Device != d.id {
		return auth.ErrBadSign
	}
	return d.stands(c, use)
}

// RevokeTokens implements hal.Tokens. The error wraps ErrUnknownDevice.
func (h *Hub) RevokeTokens(ctx context.Context, id iot.DeviceID) error {
	var s *session
	_, err := h.updateDevice(ctx, id, func(_ *batch, d *device) error {
		a := d.rec.access()
		a.Epoch++
		a.Token, a.ClientID = "", ""
		d.rec.Access = &a
		s = d.sess
		return nil
	})
	if err == nil && s != nil && s.proof != nil && s.proof.token {
		s.link.Close(hal.CauseKicked)
	}
	return err
}
