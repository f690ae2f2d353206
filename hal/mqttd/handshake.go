// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var errNoSession = errors.New("mqttd: client accepted without a session")

// handshake lets a client in or not. The goroutine it runs in has a deep stack
// afterwards, so the read loop gets a fresh one.
func (c *conn) handshake() {
	deepen(0)
	cause := hal.CauseNotKept // of a panic
	func() {
		defer c.recovered("handshake")
		cause = c.login()
	}()
	if cause != "" {
		c.finish(cause)
		return
	}
	if c.tls != nil {
		c.readAhead()
	}
	go c.loop()
}

// deepen has the stack grow to what a login needs while there is next to nothing
// on it. Left to itself, the runtime would copy all frames, twice: a tenth of what
// a login costs.
//
//go:noinline
func deepen(i uint8) byte {
	var room [5 << 10]byte
	return room[i]
}

// readAhead takes what came behind the CONNECT out of crypto/tls, so that the
// stack of the read loop need not grow for it. An error shows again.
func (c *conn) readAhead() {
	_, _ = c.readHeld()
	if c.in.off == c.in.end { // packets wait to be parsed otherwise
		c.in.park()
	}
}

// login returns an empty cause when the client is in.
func (c *conn) login() hal.Cause {
	if t, ok := find[handshaker](c.nc); ok {
		if err := t.HandshakeContext(context.Background()); err != nil {
			c.s.cfg.Logger.Debug("tls handshake", "addr", c.nc.RemoteAddr(), "err", err)
			return hal.CauseProtocol
		}
	}
	p, cause := c.firstPacket()
	if cause != "" {
		return cause
	}
	if p.Type() != mqttwire.TypeConnect {
		return hal.CauseProtocol
	}
	connect, err := mqttwire.ParseConnect(p.Body)
	if _, ok := errors.AsType[*mqttwire.VersionError](err); ok {
		return c.refuse(mqttwire.BadVersion)
	}
	if err != nil {
		c.s.cfg.Logger.Debug("bad CONNECT", "addr", c.nc.RemoteAddr(), "err", err)
		return hal.CauseProtocol
	}
	c.limit.Store(0) // from here on the context of Connect limits the time
	return c.ask(&connect)
}

// firstPacket reads one packet. Nobody vouches for this client yet, so it gets
// one buffer at most.
func (c *conn) firstPacket() (mqttwire.Packet, hal.Cause) {
	for {
		p, err := c.in.next(min(c.s.cfg.MaxPacket, largeBuffer))
		if p.First != 0 {
			return p, ""
		}
		if err != nil || c.in.first() > byte(mqttwire.TypeConnect)<<4 {
			return p, hal.CauseProtocol
		}
		if n, _ := c.read(); n == 0 {
			return p, hal.CauseReset
		}
	}
}

// ask puts the request to the platform and answers the client.
func (c *conn) ask(connect *mqttwire.Connect) hal.Cause {
	c.id = clip(connect.ClientID)
	accepted, err := c.connect(connect)
	clear(connect.Password) // the buffer goes back to a pool
	if err != nil {
		c.s.cfg.Logger.Info("client refused", "client", c.id, "user", clip(connect.UserName), "addr", c.nc.RemoteAddr(), "err", err)
		return c.refuse(codeOf(err))
	}
	if !c.accept(connect, accepted) {
		return hal.CauseReset // closed meanwhile: that cause stands
	}
	return ""
}

// clip shortens a name for logs.
func clip(name string) string {
	const longest = 128
	if len(name) <= longest {
		return name
	}
	return strings.Clone(name[:longest])
}

// connect calls Access.Connect, at most MaxConnecting at once.
func (c *conn) connect(connect *mqttwire.Connect) (hal.Accepted, error) {
	ctx, cancel := context.WithTimeout(c.s.base, c.s.cfg.HandshakeTimeout)
	defer cancel()
	c.mu.Lock()
	c.abort = cancel
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return hal.Accepted{}, hal.ErrGone
	}
	select {
	case c.s.connecting <- struct{}{}:
		defer func() { <-c.s.connecting }()
	case <-ctx.Done():
		return hal.Accepted{}, ctx.Err()
	}
	a, err := c.s.cfg.Access.Connect(ctx, c.request(connect))
	if err == nil && a.Session == nil {
		err = errNoSession
	}
	return a, err
}

func (c *conn) request(connect *mqttwire.Connect) *hal.ConnectRequest {
	r := &hal.ConnectRequest{
		Protocol:     "mqtt",
		Version:      connect.Level,
		ClientID:     connect.ClientID,
		UserName:     connect.UserName,
		RemoteAddr:   c.nc.RemoteAddr(),
		KeepAlive:    time.Duration(connect.KeepAlive) * time.Second,
		CleanSession: connect.CleanSession,
		Will:         connect.Will != nil,
		Link:         c,
	}
	if connect.HasPassword {
		r.Credential = auth.NewPassword(connect.Password)
	}
	c.secured(r)
	return r
}

// accept sends the CONNACK, and behind it what the platform sent meanwhile. It
// reports whether the connection is still open.
func (c *conn) accept(connect *mqttwire.Connect, a hal.Accepted) bool {
	c.sess = a.Session
	c.last.Store(c.s.wheel.now.Load())
	c.limit.Store(seconds(a.KeepAlive))
	c.s.wheel.move(c)
	present := a.Resumed && !connect.CleanSession && connect.Level == mqttwire.Level311

	c.mu.Lock()
	defer c.mu.Unlock()
	c.abort = nil
	c.window = uint32(c.s.cfg.Window)
	if a.MaxUnacked > 0 {
		c.window = uint32(min(a.MaxUnacked, maxWindow))
	}
	if c.closed {
		return false
	}
	out := c.gather() // leaves room for the CONNACK
	mqttwire.AppendConnack(out.b[:0], mqttwire.Connack{SessionPresent: present})
	c.open = true
	c.flush()
	return true
}

// refuse answers with a code. Deliveries that were queued are lost.
func (c *conn) refuse(code mqttwire.Code) hal.Cause {
	c.mu.Lock()
	out := c.out
	c.out = nil
	if !c.closed {
		c.gather()
		mqttwire.AppendConnack(c.out.b[:0], mqttwire.Connack{Code: code})
	}
	c.open = true
	c.mu.Unlock()
	if out != nil {
		c.s.outs.put(out, hal.ErrGone)
	}
	return hal.CauseProtocol
}

var codes = [...]mqttwire.Code{
	hal.BadVersion:     mqttwire.BadVersion,
	hal.BadClientID:    mqttwire.BadClientID,
	hal.Unavailable:    mqttwire.Unavailable,
	hal.BadCredentials: mqttwire.BadCredentials,
	hal.NotAuthorized:  mqttwire.NotAuthorized,
}

// codeOf maps an error of Access.Connect to the codes of MQTT 3.1 and 3.1.1.
func codeOf(err error) mqttwire.Code {
	if r, ok := errors.AsType[*hal.RefusedError](err); ok && 0 < r.Reason && int(r.Reason) < len(codes) {
		return codes[r.Reason]
	}
	return mqttwire.Unavailable
}
