// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"unsafe"
)

// Credential is what a client shows to prove who it is: a Password, a Token, a
// Certificate or a PSK.
type Credential interface{ credential() }

// Password is the password field of an MQTT CONNECT: a signature in hex, or a
// token, depending on the rest of the login. Everything that prints, logs or
// encodes it shows "***", in unexported fields too; Bytes is the one way to them.
type Password struct{ hiddenBytes }

// NewPassword wraps a password. Bytes are not copied: they belong to whoever
// showed the credential.
func NewPassword[T string | []byte](password T) Password {
	return Password{hide([]byte(password))}
}

// Token is a token issued by the platform (HTTP, CoAP, pre-authentication). It
// hides like a Password.
type Token struct{ hiddenBytes }

// NewToken wraps a token. Bytes are not copied.
func NewToken[T string | []byte](token T) Token {
	return Token{hide([]byte(token))}
}

// hiddenBytes are bytes that fmt cannot find: it follows pointers to slices, but
// not to a byte.
type hiddenBytes struct {
	first *byte
	n     int
}

func hide(b []byte) hiddenBytes { return hiddenBytes{unsafe.SliceData(b), len(b)} }

// Bytes returns what is hidden.
func (h hiddenBytes) Bytes() []byte { return unsafe.Slice(h.first, h.n) }

// Certificate is the client certificate of a finished TLS handshake, leaf
// first, already verified against the listener's roots.
type Certificate []*x509.Certificate

// PSK is the identity of a finished pre-shared key handshake.
type PSK string

func (Password) credential()    {}
func (Token) credential()       {}
func (Certificate) credential() {}
func (PSK) credential()         {}

// String returns "***".
func (Password) String() string { return hidden }

// Format implements fmt.Formatter, so that no verb shows the bytes.
func (Password) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue implements slog.LogValuer.
func (Password) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, which JSON and XML use.
func (Password) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// String returns "***".
func (Token) String() string { return hidden }

// Format implements fmt.Formatter, so that no verb shows the bytes.
func (Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue implements slog.LogValuer.
func (Token) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, which JSON and XML use.
func (Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }
