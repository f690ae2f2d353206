// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// subRequests is how many requests of the platform may wait for the handlers of
// a sub-device; there may be many sub-devices.
const subRequests = 16

// logoutTime bounds the goodbye of a sub-device.
const logoutTime = 2 * time.Second

// SubDevice makes the Client of a sub-device. It is used like that of a direct
// device: Connect registers it if it has no DeviceSecret and cfg a Slot, binds it
// and logs it in; after a loss of the gateway's connection it comes back by
// itself, in batches with others; Close logs it out. Transport of cfg must be
// nil. A gateway has one Client for each sub-device; a second one is an error
// until the first is closed.
func (g *Gateway) SubDevice(cfg Config) (*Client, error) {
	if cfg.Transport != nil {
		return nil, errors.New("device: a sub-device has its gateway for a transport")
	}
	s := &subDevice{gw: g}
	cfg.Transport = s
	if cfg.Clock == nil {
		cfg.Clock = g.cfg.Clock
	}
	if cfg.Logger == nil {
		cfg.Logger = g.cfg.Logger
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s.client = newClient(cfg, subRequests)
	s.client.sub = s
	return s.client, nil
}

// subDevice is the transport of a sub-device: its gateway.
type subDevice struct {
	gw     *Gateway
	client *Client

	mu   sync.Mutex
	id   iot.DeviceID
	conn *subConn
}

// Connect implements hal.Transport: it logs the sub-device in.
func (s *subDevice) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	s.client.mu.Lock()
	id := s.client.id
	s.client.mu.Unlock()
	if err := s.gw.adopt(id.Device, s); err != nil {
		return nil, err
	}
	for {
		c := &subConn{s: s, id: id.Device, recv: recv, done: make(chan struct{})}
		s.mu.Lock()
		s.id, s.conn = id.Device, c
		s.mu.Unlock()
		if err := s.gw.logins.login(ctx, s.client.ctx, &subLogin{id: id, clean: l.CleanSession, explicit: s.client.cfg.ExplicitSubscribe}); err != nil {
			c.end(false)
			s.gw.abandon(id.Device, s)
			return nil, err
		}
		if !c.isLost() { // else the gateway's connection ended under the login
			return c, nil
		}
	}
}

// adopt makes s the one that speaks for a sub-device.
func (g *Gateway) adopt(id iot.DeviceID, s *subDevice) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.subs[id]
	switch {
	case g.closed:
		return ErrClosed
	case id == g.Device():
		return &alink.CodeError{Code: alink.CodeTopoSelf}
	case old != nil && old != s:
		return fmt.Errorf("device: %v has a Client already", id)
	}
	g.subs[id] = s
	return nil
}

func (g *Gateway) abandon(id iot.DeviceID, s *subDevice) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.subs[id] == s {
		delete(g.subs, id)
	}
}

func (s *subDevice) receive(m iot.Message) {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c != nil {
		c.recv(m)
	}
}

// drop ends the connection without a word to the platform, because the gateway's was
// lost or the platform ended it.
func (s *subDevice) drop(lost bool) {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	if c != nil {
		c.end(lost)
	}
}

// subConn is a sub-device's session on its gateway's connection.
type subConn struct {
	s    *subDevice
	id   iot.DeviceID
	recv func(iot.Message)
	done chan struct{}

	mu    sync.Mutex
	ended bool
	lost  bool   // ended with the gateway's connection
	after func() // told of the end

	closing atomic.Bool
}

func (c *subConn) end(lost bool) {
	c.mu.Lock()
	first, after := !c.ended, c.after
	c.ended = true
	c.lost = c.lost || first && lost
	c.mu.Unlock()
	if first {
		close(c.done)
		if after != nil {
			after()
		}
	}
}

func (c *subConn) isLost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// whenDone has f called, once, by who ends the connection. It reports false when
// that happened already.
func (c *subConn) whenDone(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = f
	return !c.ended
}

// Done implements hal.Conn.
func (c *subConn) Done() <-chan struct{} { return c.done }

// Publish implements hal.Conn.
func (c *subConn) Publish(ctx context.Context, m iot.Message) error {
	conn, err := c.upper()
	if err != nil {
		return err
	}
	return conn.Publish(ctx, m)
}

// upper returns the gateway's connection while this one is open.
func (c *subConn) upper() (hal.Conn, error) {
	select {
	case <-c.done:
		return nil, hal.ErrGone
	default:
	}
	conn, err := c.s.gw.current()
	if err != nil {
		return nil, hal.ErrGone
	}
	return conn, nil
}

// Subscribe implements hal.SubscribingConn.
func (c *subConn) Subscribe(ctx context.Context, filters []hal.Filter) ([]hal.Grant, error) {
	conn, err := c.upper()
	if err != nil {
		return nil, err
	}
	s, ok := conn.(hal.SubscribingConn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.Subscribe(ctx, filters)
}

// Unsubscribe implements hal.SubscribingConn.
func (c *subConn) Unsubscribe(ctx context.Context, filters []string) error {
	conn, err := c.upper()
	if err != nil {
		return err
	}
	s, ok := conn.(hal.SubscribingConn)
	if !ok {
		return errors.ErrUnsupported
	}
	return s.Unsubscribe(ctx, filters)
}

// Close implements hal.Conn: it logs the sub-device out, if it still is in and
// its Client is closing.
func (c *subConn) Close() error {
	if !c.closing.CompareAndSwap(false, true) {
		return nil
	}
	return c.goodbye()
}

func (c *subConn) goodbye() error {
	_, err := c.upper()
	c.end(false)
	if c.s.client.ctx.Err() == nil {
		return nil // lost: it comes back
	}
	c.s.gw.abandon(c.id, c.s)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), logoutTime)
	defer cancel()
	g := c.s.gw
	_, err = g.callOn(ctx, topic.Ext("session/combine/logout", g.Device()), "session/combine/logout", nameOf(c.id), iot.AtMostOnce)
	return err
}
