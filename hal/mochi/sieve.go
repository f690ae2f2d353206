// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var (
	errPacket = errors.New("mochi: packet out of place")
	errFirst  = errors.New("mochi: first packet is no CONNECT, or too large")
)

// Read gives mochi one whole, well-formed packet after the other, whose decoder
// does not survive all others.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.ready) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// next makes the next packet ready. The cause of an error is noted.
func (c *conn) next() error {
	p, err := c.packets.Next()
	switch {
	case err == nil && c.connect == nil:
		err = c.first(p)
	case err == nil:
		err = c.sift(p)
	case c.drains():
		c.waitDrained()
		c.note(hal.CauseServerStop)
		return io.EOF
	case timedOut(err):
		c.note(hal.CauseKeepAlive)
	case errors.Is(err, mqttwire.ErrMalformed), errors.Is(err, mqttwire.ErrTooLarge), errors.Is(err, errFirst):
		c.note(hal.CauseProtocol)
	default:
		c.note(hal.CauseReset)
	}
	return err
}

// timedOut knows the errors of WebSockets too.
func timedOut(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// source is what the client sends. Every byte is a sign of life.
type source struct{ c *conn }

func (s source) Read(b []byte) (int, error) {
	c := s.c
	if c.connect == nil {
		return s.readFirst(b)
	}
	c.armRead()
	return c.Conn.Read(b)
}

// readFirst reads while nobody vouches for the client: the first byte must be that
// of a CONNECT, and there is a limit.
func (s source) readFirst(b []byte) (int, error) {
	c := s.c
	if c.strange == 0 {
		_ = c.Conn.SetReadDeadline(c.opened.Add(c.g.cfg.HandshakeTimeout))
	}
	n, err := c.Conn.Read(b)
	if c.strange == 0 && n > 0 && b[0] != byte(mqttwire.TypeConnect)<<4 || c.strange > maxConnect {
		return 0, errFirst
	}
	c.strange += n
	return n, err
}

// armRead sets the time the client may be silent from now.
func (c *conn) armRead() {
	var deadline time.Time
	if c.keepAlive > 0 {
		deadline = time.Now().Add(c.keepAlive)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.draining {
		_ = c.Conn.SetReadDeadline(deadline)
	}
}

// first reads the CONNECT. mochi is given another one, under a client id of its
// own, so that it never takes one device for another, and without session, will
// and password.
func (c *conn) first(p mqttwire.Packet) error {
	if p.First != byte(mqttwire.TypeConnect)<<4 || len(p.Body) > maxConnect {
		c.note(hal.CauseProtocol)
		return errFirst
	}
	connect, err := mqttwire.ParseConnect(p.Body)
	if err != nil {
		c.note(hal.CauseProtocol)
		if _, ok := errors.AsType[*mqttwire.VersionError](err); ok {
			c.writeNow(mqttwire.AppendConnack(nil, mqttwire.Connack{Code: mqttwire.BadVersion}))
		}
		return err
	}
	connect.Password = append([]byte(nil), connect.Password...)
	c.connect = &connect
	_ = c.Conn.SetReadDeadline(time.Time{})
	c.ready = mqttwire.AppendConnect(c.ready[:0], &mqttwire.Connect{
		Level: connect.Level, CleanSession: true, KeepAlive: max(connect.KeepAlive, 30),
		ClientID:    fmt.Sprintf("%s/%d/%s", c.listener, c.number, clip(connect.ClientID)),
		HasUserName: connect.HasUserName, UserName: clip(connect.UserName),
	})
	return nil
}

// clip shortens a name for mochi and its logs.
func clip(name string) string {
	const longest = 128
	if len(name) <= longest {
		return name
	}
	cut := longest
	for cut > 0 && name[cut]&0xc0 == 0x80 { // not within a character
		cut--
	}
	return name[:cut]
}

// sift checks a packet and makes it ready, with the flags mochi insists on.
func (c *conn) sift(p mqttwire.Packet) error {
	first, err := check(p)
	if err != nil {
		c.note(hal.CauseProtocol)
		c.g.cfg.Logger.Info("bad packet", "client", clip(c.connect.ClientID), "type", p.Type().String(), "err", err)
		return err
	}
	if p.Type() == mqttwire.TypeDisconnect {
		c.note(hal.CauseClient)
	}
	c.ready = appendPacket(c.ready[:0], first, p.Body)
	return nil
}

// check returns the first byte a packet should have.
func check(p mqttwire.Packet) (first byte, err error) {
	kind := byte(p.Type()) << 4
	switch p.Type() {
	case mqttwire.TypePublish:
		var m mqttwire.Publish
		if m, err = mqttwire.ParsePublish(p); err == nil && m.QoS > 1 {
			err = errPacket
		}
		return kind | m.QoS<<1, err
	case mqttwire.TypePuback:
		_, err = mqttwire.ParseID(p.Body)
		return kind, err
	case mqttwire.TypeSubscribe:
		_, _, err = mqttwire.ParseSubscribe(p.Body)
		return kind | 2, err
	case mqttwire.TypeUnsubscribe: // LinkSDK C 4.1.0 sends it without its flag
		_, _, err = mqttwire.ParseUnsubscribe(p.Body)
		return kind | 2, err
	case mqttwire.TypePingreq, mqttwire.TypeDisconnect:
		return kind, mqttwire.ParseEmpty(p.Body)
	}
	return 0, errPacket
}

func appendPacket(dst []byte, first byte, body []byte) []byte {
	dst = append(dst, first)
	n := len(body)
	for n > 0x7f {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(append(dst, byte(n)), body...)
}

// SetDeadline is called by mochi with keep-alives; the platform's count.
func (c *conn) SetDeadline(time.Time) error { return nil }

// NetConn returns the connection below.
func (c *conn) NetConn() net.Conn { return c.Conn }
