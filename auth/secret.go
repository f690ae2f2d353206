// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const hidden = "***"

// Secret is key material in its text form: a DeviceSecret, a ProductSecret, a
// password. Everything that prints, logs or encodes it shows "***"; Reveal is
// the one way to the text, so that a search for it finds every use. The text
// stands behind a pointer because fmt does not ask unexported fields how they
// want to be printed.
//
// The zero Secret is empty. Secrets are immutable and safe for concurrent use;
// compare them with Equal, not with ==.
type Secret struct{ text *string }

// NewSecret wraps text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.text == nil }

// String returns "***", or nothing for an empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter, so that no verb shows the text.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, which JSON and XML use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler: secrets can be read from a
// document although they are never written to one.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// Equal reports whether both secrets have the same text. The time it takes tells
// nothing but whether their lengths differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// EqualBytes reports whether b is the text of s. An empty secret equals nothing,
// so that whoever has none cannot be logged in as. It takes time like Equal.
func (s Secret) EqualBytes(b []byte) bool {
	return !s.IsZero() && subtle.ConstantTimeCompare([]byte(s.Reveal()), b) == 1
}
