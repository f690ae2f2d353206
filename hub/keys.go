// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// PSK implements hal.Keys.
func (h *Hub) PSK(ctx context.Context, identity auth.PSK) ([]byte, error) {
	id, timestamp, err := identity.Parse()
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	secret, err := h.keySecret(ctx, id)
	if err != nil {
		return nil, err
	}
	return auth.PSKKey(id, secret, timestamp), nil
}

// CoAPKey implements hal.Keys.
func (h *Hub) CoAPKey(ctx context.Context, id iot.DeviceID, random string) ([]byte, error) {
	secret, err := h.keySecret(ctx, id)
	if err != nil {
		return nil, err
	}
	return auth.CoAPKey(secret, random), nil
}

// keySecret returns the secret of a device that may have keys made of it.
func (h *Hub) keySecret(ctx context.Context, id iot.DeviceID) (auth.Secret, error) {
	if h.draining.Load() {
		return auth.Secret{}, &hal.RefusedError{Reason: hal.Unavailable, Err: ErrClosed}
	}
	d, err := h.acquire(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownDevice), errors.Is(err, ErrUnknownProduct):
		return auth.Secret{}, fmt.Errorf("%w: %w", auth.ErrUnknownDevice, err)
	case err != nil:
		return auth.Secret{}, &hal.RefusedError{Reason: hal.Unavailable, Err: err}
	}
	defer h.release(d)
	if d.product.usesCertificates() {
		return auth.Secret{}, hal.ErrOtherAuth
	}
	if d.disabled() {
		return auth.Secret{}, &hal.RefusedError{Reason: hal.NotAuthorized, Err: ErrDisabled}
	}
	secret, err := h.secretOf(ctx, d)
	switch {
	case errors.Is(err, auth.ErrUnknownDevice), err == nil && secret.IsZero():
		return auth.Secret{}, fmt.Errorf("%w: no secret", auth.ErrUnknownDevice)
	case err != nil:
		return auth.Secret{}, &hal.RefusedError{Reason: hal.Unavailable, Err: err}
	}
	return secret, nil
}
