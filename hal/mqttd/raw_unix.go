// SPDX-License-Identifier: Apache-2.0

//go:build unix

package mqttd

import (
	"io"
	"net"
	"syscall"
)

// rawConn reads and writes a socket without blocking in system calls. While
// nothing can be read, the goroutine waits in the runtime's poller and holds
// no buffer.
type rawConn struct {
	rc           syscall.RawConn
	tryRd, tryWr func(fd uintptr) bool // bound once
	c            *conn
	rn, wn       int
	rerr, werr   error
	unwritten    []byte
}

// newRaw returns nil for a transport that is not a socket.
func newRaw(c *conn) *rawConn {
	var sc syscall.Conn
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		sc = nc
	case *net.UnixConn:
		sc = nc
	default:
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawConn{rc: rc, c: c}
	r.tryRd, r.tryWr = r.tryRead, r.tryWrite
	return r
}

// read waits for bytes and reads them into c.in. Only the goroutine that reads
// may call it.
func (r *rawConn) read(c *conn) (int, error) {
	if err := r.rc.Read(r.tryRd); err != nil {
		return 0, err
	}
	return r.rn, r.rerr
}

// tryRead reports whether the call is over: bytes were read or never will be.
func (r *rawConn) tryRead(fd uintptr) bool {
	in := &r.c.in
	b := in.room(&r.c.s.buffers)
	for {
		n, err := syscall.Read(int(fd), b)
		switch err {
		case nil:
			if n == 0 {
				err = io.EOF
			}
			in.got(n)
			r.rn, r.rerr = n, err
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			in.park()
			return false
		default:
			r.rn, r.rerr = 0, err
			return true
		}
	}
}

// write writes what fits into the kernel's buffer and returns how much that
// was. One goroutine may call it at a time.
func (r *rawConn) write(b []byte) (int, error) {
	r.unwritten, r.wn, r.werr = b, 0, nil
	err := r.rc.Write(r.tryWr)
	r.unwritten = nil
	if err == nil {
		err = r.werr
	}
	return r.wn, err
}

// tryWrite always ends the call, so that it never waits.
func (r *rawConn) tryWrite(fd uintptr) bool {
	for r.wn < len(r.unwritten) {
		n, err := syscall.Write(int(fd), r.unwritten[r.wn:])
		switch err {
		case nil:
			r.wn += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			r.werr = err
			return true
		}
	}
	return true
}
