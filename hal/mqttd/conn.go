// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/openalink/iot/hal"
)

// conn is one connection and the hal.Link to its client. There may be a
// hundred thousand of them: every field counts.
type conn struct {
	s    *Server
	nc   net.Conn
	raw  *rawConn // nil unless nc can be read and written without blocking
	tls  *tlsConn // nil unless nc is TLS over a socket
	sess hal.Session
	id   string // client id, for logs
	in   inbound
	timing
	slot  int8    // of the wheel, guarded by wheel.mu
	shard uint8   // its flusher
	small [8]byte // read into while idle when raw is nil

	// mu guards what follows. No method of Access, Session or a done is called
	// with it held.
	mu      sync.Mutex
	out     *outBuffer // gathered, nil when empty
	writing int        // bytes that are being written; one writer at a time
	room    chan struct{}
	over    chan struct{} // closed with the connection; made when asked for
	abort   func()        // ends Access.Connect
	unacked map[uint16]func(error)
	flights *ring  // QoS 1 messages in flight; made for the first one
	window  uint32 // how many there may be
	cause   hal.Cause

	open     bool // the CONNACK is on its way
	closed   bool
	cut      bool // closed without last words
	draining bool
	parsing  bool // the read loop flushes when its batch ends
	waiting  bool // the read loop waits for room
	queued   bool // on the flusher's list
	late     bool // on the flusher's list of late ones
}

// Close implements hal.Link. The read loop is woken and finishes the rest.
func (c *conn) Close(cause hal.Cause) {
	abrupt := c.s.aborting()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed, c.cause, c.cut = true, cause, abrupt || !polite(cause) || !c.open
	c.wake()
	if c.over != nil {
		close(c.over)
	}
	if c.abort != nil {
		c.abort()
	}
	if c.cut {
		_ = c.nc.SetWriteDeadline(longAgo)
	} else {
		_ = c.nc.SetWriteDeadline(time.Now().Add(lastWords))
	}
	if c.nc.SetReadDeadline(longAgo) != nil {
		_ = c.nc.Close() // no deadlines here
	}
}

// lastWords is how long a client may take for what is left to write to it.
const lastWords = time.Second

var longAgo = time.Unix(1, 0)

// polite tells whether a client that is being left may still be listening.
func polite(cause hal.Cause) bool {
	return cause != hal.CauseReset && cause != hal.CauseKeepAlive && cause != hal.CauseSlow
}

// wake lets the read loop look again whether it may go on. The caller holds
// c.mu.
func (c *conn) wake() {
	if c.waiting {
		c.waiting = false
		c.room <- struct{}{}
	}
}

// wait flushes and blocks while stop holds and the connection is open. The
// caller holds c.mu and is the read loop.
func (c *conn) wait(stop func(*conn) bool) {
	for !c.closed && stop(c) {
		c.parsing = false
		c.flush()
		if c.closed || !stop(c) {
			return
		}
		c.block()
	}
}

// block gives c.mu up until somebody calls wake.
func (c *conn) block() {
	if c.room == nil {
		c.room = make(chan struct{}, 1)
	}
	c.waiting = true
	c.mu.Unlock()
	<-c.room
	c.mu.Lock()
}

// finish ends the connection. It is called once, by the goroutine that reads,
// when nothing of the session is running in it any more.
func (c *conn) finish(cause hal.Cause) {
	defer c.s.forget(c)
	c.Close(cause)
	c.in.release()
	c.leave()
	c.hangUp()
}

// leave tells the platform.
func (c *conn) leave() {
	defer c.recovered("leaving")
	if c.sess != nil {
		// Asked first: logging needs more stack than this goroutine has.
		if l := c.s.cfg.Logger; l.Enabled(context.Background(), slog.LevelDebug) {
			l.Debug("connection ended", "client", c.id, "cause", string(c.cause))
		}
		defer c.sess.Close(c.cause)
	}
	c.mu.Lock()
	unacked := c.unacked
	c.unacked = nil
	c.mu.Unlock()
	for _, done := range unacked {
		done(hal.ErrGone)
	}
}

// hangUp writes what is left, if the client takes it at once, and closes the
// transport.
func (c *conn) hangUp() {
	defer c.recovered("hanging up")
	c.mu.Lock()
	for c.writing > 0 {
		c.block()
	}
	out := c.out
	c.out = nil
	c.mu.Unlock()

	err := error(nil)
	switch {
	case c.cut:
		err = hal.ErrGone
	case out != nil:
		if _, err = c.nc.Write(out.b); err != nil {
			err = hal.ErrGone
		}
	}
	if err != nil {
		_ = bottom(c.nc).Close() // a TLS goodbye might block
	}
	_ = c.nc.Close()
	if out != nil {
		c.s.outs.put(out, err)
	}
}

// bottom returns the transport below TLS and WebSocket.
func bottom(nc net.Conn) net.Conn {
	for {
		t, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = t.NetConn()
	}
}

// recovered is deferred at the root of every goroutine that serves c: a panic
// ends this connection only.
func (c *conn) recovered(where string) {
	if r := recover(); r != nil {
		c.s.cfg.Logger.Error("panic", "where", where, "client", c.id, "panic", r, slog.String("stack", string(debug.Stack())))
		c.Close(hal.CauseNotKept)
	}
}

// causeOfWrite tells a client that does not read from one that is gone.
func causeOfWrite(err error) hal.Cause {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return hal.CauseSlow
	}
	return hal.CauseReset
}

// writeChunks writes b, giving the client WriteTimeout for each chunk.
func (c *conn) writeChunks(b []byte) error {
	const chunk = 16 << 10
	for len(b) > 0 {
		n := min(len(b), chunk)
		c.extend(time.Now().Add(c.s.cfg.WriteTimeout))
		if _, err := c.nc.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	if c.raw != nil {
		c.extend(time.Time{}) // writes that do not block obey it too
	}
	return nil
}

// extend sets the write deadline, unless the one of Close stands. A transport
// without deadlines waits for ever.
func (c *conn) extend(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_ = c.nc.SetWriteDeadline(t)
	}
}
