// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
)

// newWeb makes the HTTP server. It sees decrypted bytes, so HTTP/2 comes to it
// as prior knowledge, with or without ALPN: some SDKs send it inside TLS
// without having asked (wire facts, section 1 row 40).
func (s *Server) newWeb() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           http.HandlerFunc(s.route),
		Protocols:         protocols,
		ReadHeaderTimeout: s.cfg.Timeout,
		IdleTimeout:       2 * s.cfg.Timeout,
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return s.crowd.enter(withTLSState(ctx, nc), nc)
		},
		ConnState: s.crowd.leave,
		// Clients in Go take a buffer of the largest frame for a body that stays open, half
		// a megabyte by default: too much for a device.
		HTTP2:    &http.HTTP2Config{MaxReadFrameSize: 16 << 10},
		ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
	}
}

// route gives WebSocket upgrades to the MQTT server.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	defer s.crowd.begin(r.Context())()
	if state, ok := r.Context().Value(stateKey{}).(*tls.ConnectionState); ok {
		r.TLS = state
	}
	if s.cfg.MQTT != nil && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.cfg.MQTT.WebSocket().ServeHTTP(w, r)
		return
	}
	s.cfg.HTTP.ServeHTTP(w, r)
}

// stateKey is the context key of a connection's *tls.ConnectionState.
type stateKey struct{}

// withTLSState makes up for the HTTP server not knowing that it is behind TLS.
func withTLSState(ctx context.Context, nc net.Conn) context.Context {
	for {
		if t, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
			state := t.ConnectionState()
			return context.WithValue(ctx, stateKey{}, &state)
		}
		below, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return ctx
		}
		nc = below.NetConn()
	}
}

// queue is the listener of the HTTP server.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueue() *queue {
	return &queue{conns: make(chan net.Conn), done: make(chan struct{})}
}

// put waits until the HTTP server takes nc, or closes nc if it never will.
func (q *queue) put(nc net.Conn) {
	select {
	case q.conns <- nc:
	case <-q.done:
		_ = nc.Close()
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case nc := <-q.conns:
		return nc, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

func (q *queue) Addr() net.Addr { return queueAddr{} }

type queueAddr struct{}

func (queueAddr) Network() string { return "sniff" }
func (queueAddr) String() string  { return "sniff" }
