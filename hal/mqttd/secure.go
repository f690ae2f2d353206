// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// What a connection may be able to do. *tls.Conn has the first two.
type (
	handshaker interface{ HandshakeContext(context.Context) error }
	tlsStater  interface{ ConnectionState() tls.ConnectionState }
	pskHolder  interface{ PSKIdentity() string }
)

// find looks for an ability of nc or of a connection it wraps.
func find[T any](nc net.Conn) (ability T, ok bool) {
	for {
		if ability, ok = nc.(T); ok {
			return ability, true
		}
		wrapper, wraps := nc.(interface{ NetConn() net.Conn })
		if !wraps {
			return ability, false
		}
		nc = wrapper.NetConn()
	}
}

// secured fills in what the transport proved.
func (c *conn) secured(r *hal.ConnectRequest) {
	if t, ok := find[tlsStater](c.nc); ok {
		state := t.ConnectionState()
		r.TLS = &state
		if len(state.VerifiedChains) > 0 {
			r.Credential = auth.Certificate(state.PeerCertificates)
		}
	}
	if p, ok := find[pskHolder](c.nc); ok {
		if id := p.PSKIdentity(); id != "" {
			r.Credential = auth.PSK(id)
		}
	}
}
