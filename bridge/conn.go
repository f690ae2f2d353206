// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// idleBuffer is what a connection holds while nothing is half read.
const idleBuffer = 256

// Conn is a device's connection to a Server, or with UDP its address. It is a
// Channel. It is safe for concurrent use.
type Conn struct {
	s    *Server
	addr net.Addr
	nc   net.Conn // nil with UDP
	dec  Decoder
	enc  Encoder

	ctx    context.Context // of handlers; ends with the connection
	cancel context.CancelFunc

	write sync.Mutex
	out   func(b []byte) error // a packet; nil with TCP

	mu      sync.Mutex
	session *Session
	closed  bool
	cause   error
	login   *time.Timer
	state   any

	second int64 // the present second and the messages in it; the reader's
	count  int

	packets [][]byte // of UDP, waiting; guarded by mu
	running bool     // a goroutine works them off; guarded by mu
	heard   time.Time
}

func (s *Server) newConn(addr net.Addr) *Conn {
	c := &Conn{s: s, addr: addr, heard: time.Now()}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	if s.Decoder != nil {
		c.dec = s.Decoder()
	}
	if s.Encoder != nil {
		c.enc = s.Encoder()
	}
	return c
}

// await starts the time for the login.
func (c *Conn) await() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.login = time.AfterFunc(c.s.LoginTimeout, func() {
		if c.Session() == nil {
			c.Close(fmt.Errorf("%w: no login in %v", ErrOffline, c.s.LoginTimeout))
		}
	})
}

// RemoteAddr returns the device's address.
func (c *Conn) RemoteAddr() net.Addr { return c.addr }

// Bridge returns the Server's bridge.
func (c *Conn) Bridge() *Bridge { return c.s.Bridge }

// Session returns the connection's session, nil before Online.
func (c *Conn) Session() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// SetState keeps something of the handler's with the connection.
func (c *Conn) SetState(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = v
}

// State returns what SetState kept.
func (c *Conn) State() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Online opens a session of the identity over this connection, once; for the same
// identity it does nothing after that, for another it is ErrForeign. Other errors
// are those of Bridge.Online. Handlers answer the device and return the error,
// which ends the connection. The session ends with the connection.
func (c *Conn) Online(ctx context.Context, identity string, opts SessionOptions, credentials ...string) (*Session, error) {
	if s := c.Session(); s != nil {
		if s.identity != identity {
			return nil, fmt.Errorf("%w: %q over the connection of %q", ErrForeign, identity, s.identity)
		}
		return s, s.Cause()
	}
	s := NewSession(identity, c, opts)
	if err := c.s.Bridge.Online(ctx, s, credentials...); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.session = s
	closed, cause := c.closed, c.cause
	c.login.Stop()
	c.mu.Unlock()
	if closed {
		c.s.Bridge.drop(s, cause)
		return nil, cause
	}
	return s, nil
}

// Publish queues a message of the connection's device. See Bridge.PublishAsync;
// without a session the result is ErrOffline, and after the session ended its cause:
// a newer connection's session does not take an earlier one's messages.
func (c *Conn) Publish(ctx context.Context, m Message) *Result {
	s := c.Session()
	if s == nil {
		r := newResult(m)
		c.s.Bridge.dropped("", r, fmt.Errorf("%w: %v has no session", ErrOffline, c.addr))
		return r
	}
	if cause := s.Cause(); cause != nil {
		r := newResult(m)
		c.s.Bridge.dropped(s.identity, r, cause)
		return r
	}
	return c.s.Bridge.PublishAsync(ctx, s.identity, m)
}

// Send implements Channel: it writes a message with the Server's Encoder, []byte and
// string as they are without one. A write that takes longer than WriteTimeout ends the
// connection.
func (c *Conn) Send(ctx context.Context, m any) error {
	c.write.Lock()
	defer c.write.Unlock()
	b, err := c.encode(m)
	if err != nil {
		return err
	}
	if c.ctx.Err() != nil {
		return fmt.Errorf("%w: connection of %v closed", ErrOffline, c.addr)
	}
	if c.out != nil {
		return c.out(b)
	}
	until := time.Now().Add(c.s.WriteTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	err = c.nc.SetWriteDeadline(until)
	if err == nil {
		_, err = c.nc.Write(b)
	}
	if err != nil {
		err = fmt.Errorf("bridge: write: %w", err)
		c.Close(err) // part of a frame may be out
	}
	return err
}

func (c *Conn) encode(m any) ([]byte, error) {
	if c.enc != nil {
		return c.enc.Append(nil, m)
	}
	switch m := m.(type) {
	case []byte:
		return m, nil
	case string:
		return []byte(m), nil
	}
	return nil, fmt.Errorf("bridge: cannot encode %T without an Encoder", m)
}

// Close implements Channel: it ends the connection, and its session. It returns
// at once.
func (c *Conn) Close(cause error) {
	if cause == nil {
		cause = fmt.Errorf("%w: connection closed", ErrOffline)
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.cause = true, cause
	s := c.session
	c.login.Stop()
	c.mu.Unlock()
	c.cancel()
	if c.nc != nil {
		_ = c.nc.Close()
	}
	c.s.forget(c)
	if s != nil {
		c.s.Bridge.drop(s, cause)
	}
	c.s.Logger.Debug("connection ended", "address", c.addr, "cause", cause)
}

// read is the goroutine of a TCP connection. It ends after the login, which needs
// a deep stack, and leaves the rest to a fresh one.
func (c *Conn) read() {
	defer c.recovered()
	in := &input{buf: make([]byte, min(idleBuffer, c.s.MaxMessage))}
	for c.Session() == nil {
		if err := c.receive(in); err != nil {
			c.Close(err)
			return
		}
	}
	c.s.work.Go(func() {
		defer c.recovered()
		for {
			if err := c.receive(in); err != nil {
				c.Close(err)
				return
			}
		}
	})
}

// recovered keeps a panic of a codec or handler to its connection.
func (c *Conn) recovered() {
	if p := recover(); p != nil {
		c.s.Logger.Error("handler panicked", "address", c.addr, "panic", p, "stack", string(debug.Stack()))
		c.Close(fmt.Errorf("bridge: panic: %v", p))
	}
}

// input is what was read and not decoded.
type input struct {
	buf []byte
	n   int
}

// receive reads once and serves what is complete.
func (c *Conn) receive(in *input) error {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.s.IdleTimeout)); err != nil {
		return err
	}
	if in.n == len(in.buf) {
		if in.n >= c.s.MaxMessage {
			return fmt.Errorf("bridge: message of more than %d bytes", c.s.MaxMessage)
		}
		in.buf = append(in.buf, make([]byte, min(len(in.buf), c.s.MaxMessage-in.n))...)
	}
	got, err := c.nc.Read(in.buf[in.n:])
	in.n += got
	taken, failed := c.decode(in.buf[:in.n])
	if failed != nil {
		return failed
	}
	in.n = copy(in.buf, in.buf[taken:in.n])
	if in.n < idleBuffer/2 && len(in.buf) > idleBuffer { // a flag of the next frame may stay
		in.buf = append(make([]byte, 0, idleBuffer), in.buf[:in.n]...)[:idleBuffer]
	}
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the device closed the connection", ErrOffline)
	case err != nil:
		return fmt.Errorf("bridge: read: %w", err)
	}
	return nil
}

// decode hands the messages in buf to the handler and returns how many bytes they
// took.
func (c *Conn) decode(buf []byte) (taken int, err error) {
	for taken < len(buf) {
		var m any
		n := len(buf) - taken
		if c.dec == nil {
			m = append([]byte(nil), buf[taken:]...)
		} else if m, n, err = c.dec.Decode(buf[taken:]); err != nil {
			return taken, err
		}
		if n <= 0 || n > len(buf)-taken {
			return taken, nil
		}
		taken += n
		if m == nil {
			continue
		}
		if s := c.Session(); s != nil {
			s.Heard()
		}
		if c.nc != nil {
			if err := c.pace(); err != nil {
				return taken, err
			}
		}
		if err := c.s.Handler.Serve(c.ctx, c, m); err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// pace sleeps when the connection sent MaxRate messages in this second.
func (c *Conn) pace() error {
	now := time.Now()
	if now.Unix() != c.second {
		c.second, c.count = now.Unix(), 0
	}
	if c.count++; c.count <= c.s.MaxRate {
		return nil
	}
	t := time.NewTimer(now.Truncate(time.Second).Add(time.Second).Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		c.second, c.count = time.Now().Unix(), 1
		return nil
	case <-c.ctx.Done():
		return ErrClosed
	}
}
