// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"errors"
	"log/slog"
	"time"

	"github.com/openalink/iot/hal"
)

// Config says how a Server behaves. Only Access must be set; zero values mean
// the defaults given with each field.
type Config struct {
	Access hal.Access
	Logger *slog.Logger // nil discards

	// MaxPacket is the largest remaining length of a packet in bytes, 320 KB by
	// default: a payload of 256 KB and room for its header. A packet that claims
	// more ends the connection before anything is allocated for it. A CONNECT may
	// have 32 KB at most, whatever MaxPacket says.
	MaxPacket int
	// HandshakeTimeout limits the time from the first byte of the connection to
	// a complete CONNECT, TLS included, and once more the time Access.Connect may
	// take. 10 seconds by default, with a precision of a second.
	HandshakeTimeout time.Duration
	// WriteTimeout ends a connection with hal.CauseSlow when the client takes
	// nothing of what is sent for that long. 30 seconds by default.
	WriteTimeout time.Duration
	// MaxConns is how many connections may be open, one million by default.
	// Further ones are closed at once.
	MaxConns int
	// MaxConnecting is how many calls of Access.Connect may run at once, 256 by
	// default. Further ones wait for their turn.
	MaxConnecting int
	// MaxOut is how many bytes may wait for one client, 512 KB by default. With
	// more, Link.Send answers hal.ErrFull and the connection is not read. A
	// single delivery may be larger when nothing else waits.
	MaxOut int
	// Window is how many QoS 1 messages may be in flight on a connection for
	// which Accepted.MaxUnacked is zero. 100 by default.
	Window int
}

const (
	defaultMaxPacket        = 256<<10 + 64<<10
	defaultHandshakeTimeout = 10 * time.Second
	defaultWriteTimeout     = 30 * time.Second
	defaultMaxConns         = 1_000_000
	defaultMaxConnecting    = 256
	defaultMaxOut           = 512 << 10
	defaultWindow           = 100
	maxWindow               = 1 << 16 // as many as there are packet ids
)

var errNoAccess = errors.New("mqttd: no access given")

// check fills in defaults. It fails when Access is missing.
func (cfg *Config) check() error {
	if cfg.Access == nil {
		return errNoAccess
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.MaxPacket, defaultMaxPacket)
	orDefault(&cfg.HandshakeTimeout, defaultHandshakeTimeout)
	orDefault(&cfg.WriteTimeout, defaultWriteTimeout)
	orDefault(&cfg.MaxConns, defaultMaxConns)
	orDefault(&cfg.MaxConnecting, defaultMaxConnecting)
	orDefault(&cfg.MaxOut, defaultMaxOut)
	orDefault(&cfg.Window, defaultWindow)
	cfg.Window = min(cfg.Window, maxWindow)
	return nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
