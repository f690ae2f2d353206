// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnsealable means that sealed text cannot be opened: another key, another
// context, or damage.
var ErrUnsealable = errors.New("auth: sealed secret cannot be opened")

// sealMark begins sealed text: "$gcm$KEY$BASE64".
const sealMark = "$gcm$"

// SealKey is a key that seals secrets: 32 bytes, and the number it is known by.
type SealKey struct {
	Version int
	Key     [32]byte
}

// String hides the key.
func (k SealKey) String() string { return fmt.Sprintf("seal key %d", k.Version) }

// Format implements fmt.Formatter, so that no verb shows the key.
func (k SealKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// Sealer seals secrets for keeping, with AES-256-GCM. It seals with its first key
// and opens what any of its keys sealed, and text that was never sealed. It is
// safe for concurrent use.
type Sealer struct {
	first int
	aeads map[int]cipher.AEAD
}

// NewSealer makes a Sealer. It fails without a key and for two keys of one
// version.
func NewSealer(keys ...SealKey) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("auth: no key to seal with")
	}
	s := &Sealer{first: keys[0].Version, aeads: make(map[int]cipher.AEAD, len(keys))}
	for _, k := range keys {
		if s.aeads[k.Version] != nil {
			return nil, fmt.Errorf("auth: two seal keys of version %d", k.Version)
		}
		block, err := aes.NewCipher(k.Key[:])
		if err != nil {
			return nil, fmt.Errorf("auth: seal key: %w", err)
		}
		if s.aeads[k.Version], err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("auth: seal key: %w", err)
		}
	}
	return s, nil
}

// IsSealed reports whether text is sealed.
func IsSealed(text string) bool { return strings.HasPrefix(text, sealMark) }

// Seal seals a secret for one place, such as the name of its owner: it cannot be
// opened anywhere else.
func (s *Sealer) Seal(secret Secret, place string) string {
	if secret.IsZero() {
		return ""
	}
	aead := s.aeads[s.first]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(secret.Reveal())+aead.Overhead())
	rand.Read(nonce) // never fails since Go 1.24
	sealed := aead.Seal(nonce, nonce, []byte(secret.Reveal()), []byte(place))
	return sealMark + strconv.Itoa(s.first) + "$" + base64.RawStdEncoding.EncodeToString(sealed)
}

// Open opens sealed text; text that is not sealed is the secret itself. The error
// is ErrUnsealable.
func (s *Sealer) Open(text, place string) (Secret, error) {
	rest, sealed := strings.CutPrefix(text, sealMark)
	if !sealed {
		return NewSecret(text), nil
	}
	number, body, _ := strings.Cut(rest, "$")
	version, err := strconv.Atoi(number)
	if err != nil || s.aeads[version] == nil {
		return Secret{}, ErrUnsealable
	}
	aead := s.aeads[version]
	raw, err := base64.RawStdEncoding.DecodeString(body)
	if err != nil || len(raw) < aead.NonceSize() {
		return Secret{}, ErrUnsealable
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], []byte(place))
	if err != nil {
		return Secret{}, ErrUnsealable
	}
	return NewSecret(string(plain)), nil
}
