// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// errSeen stops the handshake of crypto/tls once it has read the ClientHello.
var errSeen = errors.New("sniff: ClientHello seen")

// hello reads a ClientHello with crypto/tls. It returns the suites offered, and
// nc with nothing consumed and nothing answered.
func hello(ctx context.Context, nc net.Conn) (suites []uint16, replay net.Conn, err error) {
	r := &recorder{Conn: nc}
	err = tls.Server(r, &tls.Config{ // never completes
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			suites = hello.CipherSuites
			return nil, errSeen
		},
	}).HandshakeContext(ctx)
	if !errors.Is(err, errSeen) {
		return nil, nil, err
	}
	return suites, &replayConn{Conn: nc, head: r.read}, nil
}

// recorder keeps what is read and drops what is written: the alert about the
// handshake that was stopped.
type recorder struct {
	net.Conn
	read []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.read = append(r.read, b[:n]...)
	return n, err
}

func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
