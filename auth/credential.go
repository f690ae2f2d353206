// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/x509"
	"fmt"
	"log/slog"
)

// Credential is what a client shows to prove who it is: a Password, a Token, a
// Certificate or a PSK.
type Credential interface{ credential() }

// Password is the password field of an MQTT CONNECT: a signature in hex, or a
// token, depending on the rest of the login.
//
// Password and Token print as "***". They are plain bytes, so unlike a Secret
// they cannot hide where fmt does not ask how a value wants to be printed: in
// unexported fields. Keep them out of structs that may be printed.
type Password []byte

// Token is a token issued by the platform (HTTP, CoAP, pre-authentication).
type Token []byte

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
