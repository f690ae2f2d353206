// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"errors"
	"log/slog"
	"time"

	"github.com/openalink/iot/hal"
)

// Config says how a Guard behaves. Only Access must be set; zero values mean the
// defaults given with each field.
type Config struct {
	Access hal.Access
	Logger *slog.Logger // nil discards

	// Forward has the broker publish each message of a device to its own clients,
	// once it is durable. What comes while 4096 wait is not forwarded. Retain flags
	// are dropped.
	Forward bool

	// MaxPacket is the largest remaining length of a packet in bytes, 320 KB by
	// default. A CONNECT may have 32 KB at most.
	MaxPacket int
	// HandshakeTimeout limits the time to a complete CONNECT, TLS included, and once
	// more the time Access.Connect may take. 10 seconds by default.
	HandshakeTimeout time.Duration
	// WriteTimeout ends a connection with hal.CauseSlow when the client takes
	// nothing for that long. 30 seconds by default.
	WriteTimeout time.Duration
	// MaxConns is how many connections of devices may be open, 100,000 by default.
	MaxConns int
	// MaxOut is how many bytes may wait for one client, 512 KB by default. Beyond it
	// Link.Send answers hal.ErrFull and the connection is not read.
	MaxOut int
	// Window is how many QoS 1 messages may be in flight on a connection for which
	// Accepted.MaxUnacked is zero, 100 by default.
	Window int
}

const maxConnect = 32 << 10 // the largest CONNECT

var (
	errNoAccess = errors.New("mochi: Config.Access is nil")
	errNoServer = errors.New("mochi: server is nil")
)

func (cfg *Config) check() error {
	if cfg.Access == nil {
		return errNoAccess
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.MaxPacket, 320<<10)
	orDefault(&cfg.HandshakeTimeout, 10*time.Second)
	orDefault(&cfg.WriteTimeout, 30*time.Second)
	orDefault(&cfg.MaxConns, 100_000)
	orDefault(&cfg.MaxOut, 512<<10)
	orDefault(&cfg.Window, 100)
	return nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
