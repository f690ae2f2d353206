// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// conn is a device's connection. mochi sees it as a net.Conn, the platform as a
// hal.Link.
type conn struct {
	net.Conn // Read, Write and the deadlines are not its own
	g        *Guard
	listener string
	number   uint64
	opened   time.Time
	ctx      context.Context // ends with the connection
	cancel   context.CancelFunc

	// Of the goroutine that reads.
	packets *mqttwire.Reader
	ready   []byte            // a packet mochi has not read yet
	connect *mqttwire.Connect // nil before
	strange int               // bytes read before the CONNECT was complete

	// Set by the login.
	client    *mqtt.Client
	sess      hal.Session
	present   bool
	keepAlive time.Duration
	window    int

	writer sync.WaitGroup

	mu       sync.Mutex
	changed  sync.Cond // of anything below
	cause    hal.Cause // why it ends; empty while it does not
	last     bool      // what is queued is the last that is written
	over     bool      // nothing is written any more
	started  bool      // the CONNACK is out
	draining bool
	out      []outgoing
	outBytes int
	writing  bool
	flights  []*flight // QoS 1 messages of the device, in order
	waiting  map[uint16][]func(error)
}

func newConn(g *Guard, listener string, nc net.Conn) *conn {
	c := &conn{Conn: nc, g: g, listener: listener, number: g.last.Add(1), opened: time.Now(), waiting: make(map[uint16][]func(error))}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.packets = mqttwire.NewReader(source{c}, g.cfg.MaxPacket)
	c.changed.L = &c.mu
	return c
}

// note keeps the cause of the end, if it is the first.
func (c *conn) note(cause hal.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == "" {
		c.cause = cause
	}
}

// login asks the platform. An error has been answered.
func (c *conn) login(cl *mqtt.Client) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.g.cfg.HandshakeTimeout)
	defer cancel()
	c.client = cl
	accepted, err := c.g.cfg.Access.Connect(ctx, c.request())
	clear(c.connect.Password)
	if err == nil && accepted.Session == nil {
		err = errNoDevice
	}
	if err != nil {
		c.g.cfg.Logger.Info("client refused", "client", cl.ID, "addr", c.RemoteAddr(), "err", err)
		c.note(hal.CauseProtocol)
		c.writeNow(mqttwire.AppendConnack(nil, mqttwire.Connack{Code: codeOf(err)}))
		return err
	}
	c.sess, c.keepAlive, c.window = accepted.Session, accepted.KeepAlive, c.g.cfg.Window
	if accepted.MaxUnacked > 0 {
		c.window = accepted.MaxUnacked
	}
	c.present = accepted.Resumed && !c.connect.CleanSession && c.connect.Level == mqttwire.Level311
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != "" {
		return hal.ErrGone
	}
	return nil
}

func (c *conn) request() *hal.ConnectRequest {
	r := &hal.ConnectRequest{
		Protocol: "mqtt", Version: c.connect.Level, Kind: hal.Connection,
		ClientID: c.connect.ClientID, UserName: c.connect.UserName,
		RemoteAddr: c.RemoteAddr(), KeepAlive: time.Duration(c.connect.KeepAlive) * time.Second,
		CleanSession: c.connect.CleanSession, Will: c.connect.Will != nil, Link: (*link)(c),
	}
	if c.connect.HasPassword {
		r.Credential = auth.NewPassword(c.connect.Password)
	}
	if t, ok := c.Conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := t.ConnectionState()
		r.TLS = &state
		if len(state.VerifiedChains) > 0 {
			r.Credential = auth.Certificate(state.PeerCertificates)
		}
	}
	return r
}

// Close is called by mochi when it is through with the client, and ends what the
// guard does for it.
func (c *conn) Close() error {
	c.mu.Lock()
	c.over = true
	c.changed.Broadcast()
	c.mu.Unlock()
	c.cancel()
	return c.Conn.Close()
}

// abort ends the connection at once.
func (c *conn) abort(cause hal.Cause) {
	c.note(cause)
	_ = c.Close()
}

// drain has the reader stop, and wait for what is in flight.
func (c *conn) drain() {
	c.mu.Lock()
	started := c.started
	c.mu.Unlock()
	if !started {
		c.abort(hal.CauseServerStop)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	_ = c.Conn.SetReadDeadline(time.Now())
}

func (c *conn) drains() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

func (c *conn) waitDrained() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.over && (len(c.flights) > 0 || len(c.out) > 0 || c.writing) {
		c.changed.Wait()
	}
}

// finish is the end of the connection, whatever mochi did: the session is closed
// once, and nobody waits for the client any more.
func (c *conn) finish() {
	_ = c.Close()
	c.writer.Wait()
	c.mu.Lock()
	if c.cause == "" {
		c.cause = hal.CauseReset
	}
	cause, out, waiting := c.cause, c.out, c.waiting
	c.out, c.waiting, c.flights = nil, nil, nil
	c.mu.Unlock()
	for _, o := range out {
		if o.id == 0 {
			c.call(o.done, hal.ErrGone)
		}
	}
	for _, dones := range waiting {
		for _, done := range dones {
			c.call(done, hal.ErrGone)
		}
	}
	if c.sess == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			c.g.cfg.Logger.Error("panic in Session.Close", "panic", p)
		}
	}()
	c.sess.Close(cause)
}

// call reports what became of a delivery. A panic ends the connection.
func (c *conn) call(done func(error), err error) {
	if done == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			c.g.cfg.Logger.Error("panic in the done of a delivery", "panic", p)
			c.abort(hal.CauseNotKept)
		}
	}()
	done(err)
}

// writeNow writes past the queue.
func (c *conn) writeNow(b []byte) {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(moment))
	_, _ = c.Conn.Write(b)
}

// Write is called by mochi with one encoded packet. It tells no client of MQTT
// 3.1.1 goodbye with a DISCONNECT.
func (c *conn) Write(b []byte) (int, error) {
	if len(b) > 0 && b[0]>>4 == byte(mqttwire.TypeDisconnect) {
		return len(b), nil
	}
	c.armWrite()
	n, err := c.Conn.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.abort(hal.CauseSlow)
	}
	return n, err
}

func qos(b byte) iot.QoS { return iot.QoS(b) }
