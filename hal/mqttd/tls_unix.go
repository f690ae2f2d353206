// SPDX-License-Identifier: Apache-2.0

//go:build unix

package mqttd

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// tlsConn waits for a TLS connection at the socket below, where that takes
// little stack and no buffer, and reads only when something has arrived.
type tlsConn struct {
	socket syscall.RawConn
	held   bool // crypto/tls may hold bytes the socket no longer shows
}

// newTLS returns nil for anything but TLS over a socket.
func newTLS(nc net.Conn) *tlsConn {
	t, _ := nc.(*tls.Conn)
	if p, ok := nc.(interface{ TLSConn() *tls.Conn }); ok {
		t = p.TLSConn()
	}
	if t == nil {
		return nil
	}
	tc, ok := bottom(t).(*net.TCPConn)
	if !ok {
		return nil
	}
	socket, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	return &tlsConn{socket: socket, held: true}
}

// readTLS reads into c.in.
func (c *conn) readTLS() (int, error) {
	if c.tls.held {
		if n, err := c.readHeld(); n > 0 || err != nil {
			return n, err
		}
	}
	c.in.park()
	if err := c.tls.socket.Read(arrived); err != nil {
		return 0, err
	}
	n, err := c.nc.Read(c.in.room(&c.s.buffers))
	c.in.got(n)
	c.tls.held = n > 0
	return n, err
}

// readHeld reads what crypto/tls holds and nothing from the socket: a read
// whose deadline has passed does not get that far, and crypto/tls goes on
// after it.
func (c *conn) readHeld() (int, error) {
	c.setReadDeadline(longAgo)
	n, err := c.nc.Read(c.in.room(&c.s.buffers))
	c.in.got(n)
	c.setReadDeadline(time.Time{})
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		c.tls.held, err = false, nil
	}
	return n, err
}

// setReadDeadline leaves the one of Close and drain alone.
func (c *conn) setReadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && !c.draining {
		_ = c.nc.SetReadDeadline(t)
	}
}

// arrived reports whether a read would not wait.
func arrived(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err != syscall.EAGAIN
		}
	}
}
