// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe returns the two ends of a connection in memory. Unlike those of
// net.Pipe, each direction holds up to size bytes, as a socket's buffers do.
// It works inside testing/synctest.
func Pipe(size int) (a, b net.Conn) {
	there, back := newLane(size), newLane(size)
	return &pipeEnd{in: back, out: there}, &pipeEnd{in: there, out: back}
}

type pipeEnd struct{ in, out *lane }

func (p *pipeEnd) Read(b []byte) (int, error)         { return p.in.read(b) }
func (p *pipeEnd) Write(b []byte) (int, error)        { return p.out.write(b) }
func (p *pipeEnd) LocalAddr() net.Addr                { return pipeAddr{} }
func (p *pipeEnd) RemoteAddr() net.Addr               { return pipeAddr{} }
func (p *pipeEnd) SetReadDeadline(t time.Time) error  { return p.in.reader.set(p.in, t) }
func (p *pipeEnd) SetWriteDeadline(t time.Time) error { return p.out.writer.set(p.out, t) }

func (p *pipeEnd) SetDeadline(t time.Time) error {
	_ = p.SetReadDeadline(t)
	return p.SetWriteDeadline(t)
}

// Close ends both directions. What was written can still be read.
func (p *pipeEnd) Close() error {
	p.in.close(true)
	p.out.close(false)
	return nil
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// lane is one direction.
type lane struct {
	size int

	mu             sync.Mutex
	changed        sync.Cond
	b              []byte
	closed, broken bool // by the writer, by the reader
	reader, writer limit
}

// limit is a deadline. It is guarded by the lane's mu.
type limit struct {
	passed bool
	timer  *time.Timer
}

func newLane(size int) *lane {
	l := &lane{size: size}
	l.changed.L = &l.mu
	return l
}

func (l *lane) read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.broken:
			return 0, net.ErrClosed
		case l.reader.passed:
			return 0, os.ErrDeadlineExceeded
		case len(l.b) > 0:
			n := copy(b, l.b)
			l.b = append(l.b[:0], l.b[n:]...)
			l.changed.Broadcast()
			return n, nil
		case l.closed:
			return 0, io.EOF
		}
		l.changed.Wait()
	}
}

func (l *lane) write(b []byte) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.closed:
			return n, net.ErrClosed
		case l.broken:
			return n, io.ErrClosedPipe
		case l.writer.passed:
			return n, os.ErrDeadlineExceeded
		}
		part := min(len(b)-n, l.size-len(l.b))
		l.b = append(l.b, b[n:n+part]...)
		n += part
		l.changed.Broadcast()
		if n == len(b) {
			return n, nil
		}
		l.changed.Wait()
	}
}

func (l *lane) close(byReader bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if byReader {
		l.broken = true
		l.reader.stop()
	} else {
		l.closed = true
		l.writer.stop()
	}
	l.changed.Broadcast()
}

func (d *limit) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

// set is SetDeadline for one direction and side.
func (d *limit) set(l *lane, t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.stop()
	d.timer, d.passed = nil, false
	l.changed.Broadcast()
	if t.IsZero() {
		return nil
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		return nil
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if d.timer == timer {
			d.passed = true
			l.changed.Broadcast()
		}
	})
	d.timer = timer
	return nil
}
