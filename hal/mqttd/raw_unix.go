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
	syscall.RawConn
	c       *conn
	tryRead func(fd uintptr) bool // bound once
	n       int
	err     error
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
	r := &rawConn{RawConn: rc, c: c}
	r.tryRead = r.readOnce
	return r
}

// read waits for bytes and reads them into c.in. Only the goroutine that reads
// may call it.
func (r *rawConn) read() (int, error) {
	if err := r.Read(r.tryRead); err != nil {
		return 0, err
	}
	return r.n, r.err
}

// readOnce reports whether the read is over: there are bytes, or never will
// be.
func (r *rawConn) readOnce(fd uintptr) bool {
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
			r.n, r.err = n, err
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			in.park()
			return false
		default:
			r.n, r.err = 0, err
			return true
		}
	}
}

// write writes what fits into the kernel's buffer and returns how much that
// was. One goroutine may call it at a time.
func (r *rawConn) write(out *outBuffer) (int, error) {
	if out.tryWrite == nil {
		out.tryWrite = out.writeOnce
	}
	out.n, out.err = 0, nil
	if err := r.Write(out.tryWrite); err != nil {
		return out.n, err
	}
	return out.n, out.err
}

// writeOnce always ends the write, so that it never waits.
func (o *outBuffer) writeOnce(fd uintptr) bool {
	for o.n < len(o.b) {
		n, err := syscall.Write(int(fd), o.b[o.n:])
		switch err {
		case nil:
			o.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			o.err = err
			return true
		}
	}
	return true
}
