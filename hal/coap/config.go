// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/openalink/iot/hal"
)

// Platform is what a Server asks. *hub.Hub is one.
type Platform interface {
	hal.Access
	hal.Tokens
	hal.Keys
}

// Config says whom a Server speaks for, and its bounds.
type Config struct {
	Platform Platform
	// Certificates are shown to DTLS clients that verify the server instead of using
	// a key of their own. Without any only keys made of DeviceSecrets let in. RSA and
	// ECDSA keys do; the suites are ECDHE. Clients are not asked for certificates:
	// they sign their login.
	Certificates []tls.Certificate
	// Cleartext takes logins and messages that are neither in DTLS nor encrypted.
	// Whoever sees a token on the way can use it for its 48 hours.
	Cleartext bool
	// MaxBody is the largest payload in bytes; 0 means 1024. A larger one is answered
	// with CodeTooLarge.
	MaxBody int
	// Timeout is how long a request may take; 0 means 20 s. Then it is answered with
	// CodeInternal, whatever becomes of it.
	Timeout time.Duration
	// Idle ends sessions, with DTLS and with AES, that were silent for so long; 0
	// means an hour. A device that comes later logs in again.
	Idle time.Duration
	// HandshakeTimeout bounds a DTLS handshake; 0 means 30 s, since narrow-band radio
	// takes seconds for each way.
	HandshakeTimeout time.Duration
	// MaxHandshakes is how many DTLS handshakes may go on at once; 0 means 768. Two
	// thirds are for clients that have not shown their cookie. Each takes 40 to 60 KB.
	// In either part the newest replaces the oldest.
	MaxHandshakes int
	// MaxMemory is how many bytes DTLS sessions may take; 0 means 256 MB. A session
	// is counted as 48 KB. The one that was silent longest makes room for a new one.
	MaxMemory int
	// MaxSessions is how many sessions with AES there may be; 0 means 100,000, of
	// about 1 KB. The one that was silent longest makes room for a new one.
	MaxSessions int
	// MaxRequests is how many requests may be in progress at once; 0 means 4096.
	// Datagrams beyond are dropped, on a socket without DTLS beyond half of it;
	// clients repeat what they want confirmed.
	MaxRequests int
	// Logger hears of panics, and of failed handshakes at level debug; nil discards.
	Logger *slog.Logger
}

const (
	defaultMaxBody          = 1024
	defaultTimeout          = 20 * time.Second
	defaultIdle             = time.Hour
	defaultHandshakeTimeout = 30 * time.Second
	defaultMaxHandshakes    = 768
	defaultMaxMemory        = 256 << 20
	defaultMaxSessions      = 100_000
	defaultMaxRequests      = 4096

	sessionMemory = 48 << 10 // of a DTLS session, goroutines and buffers of the library included
)

// complete fills in what was left to choose.
func (c *Config) complete() error {
	if c.Platform == nil {
		return errors.New("coap: Config.Platform is nil")
	}
	c.MaxBody = orDefault(c.MaxBody, defaultMaxBody)
	c.Timeout = orDefault(c.Timeout, defaultTimeout)
	c.Idle = orDefault(c.Idle, defaultIdle)
	c.HandshakeTimeout = orDefault(c.HandshakeTimeout, defaultHandshakeTimeout)
	c.MaxHandshakes = max(orDefault(c.MaxHandshakes, defaultMaxHandshakes), 3)
	c.MaxMemory = orDefault(c.MaxMemory, defaultMaxMemory)
	c.MaxSessions = orDefault(c.MaxSessions, defaultMaxSessions)
	c.MaxRequests = max(orDefault(c.MaxRequests, defaultMaxRequests), 2)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orDefault[T int | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}
