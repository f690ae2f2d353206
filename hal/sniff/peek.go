// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"crypto/tls"
	"net"
)

// peek waits for the first byte of nc. The connection to go on with is nc
// itself where the system can look without taking, or one that gives the byte
// again.
func peek(nc net.Conn) (byte, net.Conn, error) {
	if tc, ok := nc.(*net.TCPConn); ok && canPeek {
		first, err := peekTCP(tc)
		return first, nc, err
	}
	head := make([]byte, 1)
	n, err := nc.Read(head)
	for n == 0 && err == nil {
		n, err = nc.Read(head)
	}
	if n == 0 {
		return 0, nil, err
	}
	return head[0], &replayConn{Conn: nc, head: head}, nil
}

// replayConn gives head before what comes from Conn.
type replayConn struct {
	net.Conn
	head []byte
}

func (c *replayConn) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// TLSConn returns the TLS connection below, nil if there is none. It tells a
// listener that bytes are passed on as they are.
func (c *replayConn) TLSConn() *tls.Conn {
	t, _ := c.Conn.(*tls.Conn)
	return t
}

// NetConn returns the connection below, so that the state of its TLS can be
// asked for.
func (c *replayConn) NetConn() net.Conn { return c.Conn }
