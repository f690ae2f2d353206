// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// MQTT is what MQTT connections are given to. *mqttd.Server implements it.
type MQTT interface {
	// ServeConn takes a connection over and returns at once.
	ServeConn(nc net.Conn)
	// WebSocket serves requests to upgrade to MQTT over WebSocket.
	WebSocket() http.Handler
}

// Handshake makes a connection secure in a way crypto/tls does not know, such
// as with a pre-shared key. The connection it returns may have the methods
// ConnectionState of *tls.Conn and PSKIdentity() string, which listeners
// report to the platform. It returns when ctx ends.
type Handshake func(ctx context.Context, nc net.Conn) (net.Conn, error)

// Config says what is behind the port.
type Config struct {
	MQTT MQTT         // nil: MQTT connections are closed
	HTTP http.Handler // nil: HTTP requests other than WebSocket upgrades are not found
	// TLS secures connections; nil closes those that want it. See hal.ServerTLS. One
	// without NextProtos names HTTP to clients that ask for HTTP, and nothing to others.
	TLS *tls.Config
	// Secure closes connections that do not begin with a TLS handshake.
	Secure bool
	Logger *slog.Logger // nil discards

	// Choose, when not nil, is asked which handshake a TLS client gets, given the
	// cipher suites it offers. nil means the one of crypto/tls.
	Choose func(suites []uint16) Handshake
	// Timeout limits the time to the first byte, TLS handshake included, and to
	// the header of an HTTP request. 10 seconds by default.
	Timeout time.Duration
	// MaxWaiting is how many connections may be undecided, 1024 by default. When more
	// come, the one that is undecided for longest is closed.
	MaxWaiting int
	// MaxWeb is how many connections may speak HTTP, 16384 by default; each takes
	// about 40 KB under TLS. When more come, the one without a request for longest is
	// closed.
	MaxWeb int
}

var errNothing = errors.New("sniff: neither MQTT nor HTTP given")

func (cfg *Config) check() error {
	if cfg.MQTT == nil && cfg.HTTP == nil {
		return errNothing
	}
	cfg.TLS = answering(cfg.TLS)
	if cfg.HTTP == nil {
		cfg.HTTP = http.NotFoundHandler()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = 1024
	}
	if cfg.MaxWeb <= 0 {
		cfg.MaxWeb = 16 << 10
	}
	return nil
}
