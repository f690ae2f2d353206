// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"runtime/debug"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// cidSize is how long the connection ids are that the server chooses.
const cidSize = 8

// ServeDTLS serves devices that speak DTLS 1.2 on a UDP socket (wire facts
// section 1 row 31: port 5684). It returns when the socket fails or the Server
// ends; the socket is closed then, and its goroutines have ended.
func (s *Server) ServeDTLS(conn *net.UDPConn) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := newSecure(ctx, cancel, s, conn)
	done, err := s.open(conn, l)
	if err != nil {
		return err
	}
	defer done()
	for {
		b := s.buffer()
		n, from, err := conn.ReadFromUDPAddrPort(*b)
		switch {
		case err == nil:
			*b = (*b)[:n]
			l.route(ctx, b, from)
		case transient(err):
			s.recycle(b)
		default:
			return s.ended(err)
		}
	}
}

// handshake returns the options of every handshake on a socket.
func (s *Server) handshake(ctx context.Context) []dtls.ServerOption {
	o := []dtls.ServerOption{
		dtls.WithPSK(func(identity []byte) ([]byte, error) { return s.psk(ctx, auth.PSK(identity)) }),
		dtls.WithPSKIdentityHint([]byte("iot")),
		dtls.WithCustomCipherSuites(customSuites),
		dtls.WithCipherSuites(serverSuites(len(s.cfg.Certificates) > 0)...),
		dtls.WithLoggerFactory(quiet()),
		dtls.WithMTU(maxDatagram),
	}
	if len(s.cfg.Certificates) > 0 {
		o = append(o, dtls.WithCertificates(s.cfg.Certificates...))
	}
	return o
}

// maxDatagram is how long the datagrams of a handshake get: what every network
// carries in one piece.
const maxDatagram = 1200

// serverSuites are the suites served, beside the one of vendor firmware. The
// client's order counts.
func serverSuites(certificates bool) []dtls.CipherSuiteID {
	suites := []dtls.CipherSuiteID{
		dtls.TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256, dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
		dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_CHACHA20_POLY1305_SHA256,
		dtls.TLS_PSK_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_256_CCM_8,
		dtls.TLS_PSK_WITH_AES_128_CBC_SHA256,
	}
	if !certificates {
		return suites
	}
	return append(
		suites,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		dtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, dtls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
		dtls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, dtls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	)
}

// quiet is a logger for the library: what matters comes back as errors.
func quiet() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled
	return f
}

// psk returns the key for an identity. Who is not known gets a key nobody has, so
// that the handshake ends as it does with a wrong one.
func (s *Server) psk(ctx context.Context, identity auth.PSK) (key []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HandshakeTimeout)
	defer cancel()
	defer func() { // this runs on a goroutine of the library
		if v := recover(); v != nil {
			s.cfg.Logger.Error("handshake panicked", "panic", v, "stack", string(debug.Stack()))
			key, err = nil, errors.New("coap: no key")
		}
	}()
	key, err = s.cfg.Platform.PSK(ctx, identity)
	refused, ok := errors.AsType[*hal.RefusedError](err)
	switch {
	case err == nil:
		return key, nil
	case ok && refused.Reason == hal.Unavailable, ctx.Err() != nil:
		return nil, err
	}
	s.cfg.Logger.Debug("no key for an identity", "error", err)
	key = make([]byte, 64)
	_, _ = rand.Read(key) // never fails
	return key, nil
}

// shake makes the session of a link, or fails.
func (l *secure) shake(ctx context.Context, k *link) (*dtls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.s.cfg.HandshakeTimeout)
	defer cancel()
	options := append(l.options[:len(l.options):len(l.options)], dtls.WithConnectionIDGenerator(func() []byte { return l.name(k) }))
	conn, err := dtls.ServerWithOptions(k, k.remote.Load(), options...)
	if err != nil {
		return nil, err
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// run is the life of a link: its handshake, then the requests on it.
func (l *secure) run(ctx context.Context, k *link) {
	defer l.remove(k)
	defer func() {
		if v := recover(); v != nil {
			l.s.cfg.Logger.Error("session panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // nobody hears what is still to be answered
	conn, err := l.shake(ctx, k)
	if err != nil {
		l.s.cfg.Logger.Debug("handshake failed", "addr", k.remote.Load(), "error", err)
		return
	}
	defer conn.Close()
	if !l.establish(k) {
		return
	}
	p := &peer{
		secure: true,
		remote: conn.RemoteAddr,
		send:   func(b []byte) { _, _ = conn.Write(b) }, // UDP may lose it all the same
		leave:  func() { k.refs.Add(-1) },
	}
	p.known.Store(true)
	l.requests(ctx, k, p, conn)
}

// requests reads a session until it ends.
func (l *secure) requests(ctx context.Context, k *link, p *peer, conn *dtls.Conn) {
	for {
		if err := conn.SetReadDeadline(time.Now().Add(l.s.cfg.Idle)); err != nil {
			return
		}
		b := l.s.buffer()
		n, err := conn.Read(*b)
		if err != nil {
			l.s.recycle(b)
			return
		}
		*b = (*b)[:n]
		k.follow(conn.RemoteAddr)
		if l.s.draining() || k.refs.Load() >= maxWaiting || !l.s.slot() {
			l.s.recycle(b)
			continue
		}
		k.refs.Add(1)
		if x := l.s.begin(ctx, p, b); x != nil {
			l.work.Go(x.await)
		}
	}
}
