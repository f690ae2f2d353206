// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"fmt"

	"github.com/openalink/iot/auth"
)

// Sealer seals secrets for the store. *auth.Sealer is one.
type Sealer interface {
	// Seal returns text that only Open with the same place turns back.
	Seal(secret auth.Secret, place string) string
	// Open opens sealed text, and returns text that never was sealed as it is.
	Open(text, place string) (auth.Secret, error)
}

// seal makes the stored form of a secret that belongs to place.
func (h *Hub) seal(secret auth.Secret, place string) string {
	if h.sealer == nil {
		return secret.Reveal()
	}
	return h.sealer.Seal(secret, place)
}

// unsealText reads the stored form of one secret.
func (h *Hub) unsealText(text, place string) (auth.Secret, error) {
	if h.sealer != nil {
		return h.sealer.Open(text, place)
	}
	if auth.IsSealed(text) {
		return auth.Secret{}, fmt.Errorf("hub: the store is sealed and Config.Sealer is nil: %w", auth.ErrUnsealable)
	}
	return auth.NewSecret(text), nil
}

// unseal reads the secrets of a device's record.
func (h *Hub) unseal(d *device) (err error) {
	if d.secret, err = h.unsealText(d.rec.Secret, d.id.String()); err != nil {
		return fmt.Errorf("hub: device record %v: %w", d.id, err)
	}
	return nil
}
