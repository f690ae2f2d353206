// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"time"
)

// The first bytes. HTTP begins with the capital letter of a method.
const (
	firstTLS  = 0x16 // a handshake record
	firstMQTT = 0x10 // a CONNECT
)

var (
	errNoTLS = errors.New("sniff: no TLS here")
	errPlain = errors.New("sniff: nothing but TLS here")
)

// decide finds out what nc speaks and hands it on.
func (s *Server) decide(nc net.Conn) {
	defer s.recovered(nc)
	_ = nc.SetDeadline(time.Now().Add(s.cfg.Timeout))
	first, plain, err := peek(nc)
	switch {
	case err != nil:
	case first == firstTLS:
		if plain, err = s.secure(plain); err == nil {
			first, plain, err = peek(plain)
		}
	case s.cfg.Secure:
		err = errPlain
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	open := s.decided(nc)
	if err != nil || !open {
		s.cfg.Logger.Debug("undecided connection ended", "addr", nc.RemoteAddr(), "err", err)
		_ = nc.Close()
		return
	}
	s.hand(first, plain)
}

func (s *Server) hand(first byte, nc net.Conn) {
	switch {
	case 'A' <= first && first <= 'Z':
		s.queue.put(nc)
	case first == firstMQTT && s.cfg.MQTT != nil:
		s.cfg.MQTT.ServeConn(nc)
	default:
		_ = nc.Close()
	}
}

// secure does the handshake.
func (s *Server) secure(nc net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.base, s.cfg.Timeout)
	defer cancel()
	if s.cfg.Choose != nil {
		suites, replay, err := hello(ctx, nc)
		if err != nil {
			return nil, err
		}
		nc = replay
		if handshake := s.cfg.Choose(suites); handshake != nil {
			return handshake(ctx, nc)
		}
	}
	if s.cfg.TLS == nil {
		return nil, errNoTLS
	}
	secured := tls.Server(nc, s.cfg.TLS)
	return secured, secured.HandshakeContext(ctx)
}

// recovered is deferred at the root of the goroutine: a panic ends this
// connection only.
func (s *Server) recovered(nc net.Conn) {
	if r := recover(); r != nil {
		s.cfg.Logger.Error("panic", "addr", nc.RemoteAddr(), "panic", r, "stack", string(debug.Stack()))
		s.decided(nc)
		_ = nc.Close()
	}
}
