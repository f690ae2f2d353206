// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// loginTimeout bounds a login whose context has no deadline.
const loginTimeout = 30 * time.Second

// login opens one connection and restores the subscriptions.
func (c *Client) login(ctx context.Context) error {
	if c.sub == nil { // a sub-device waits for its gateway
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, loginTimeout)
		defer cancel()
	}
	l, err := c.identify(ctx)
	if err != nil {
		return err
	}
	conn, err := c.cfg.Transport.Connect(ctx, l, c.receive)
	if err != nil {
		return err
	}
	if err := c.subscribeAll(ctx, conn); err != nil {
		_ = conn.Close()
		return err
	}
	c.unheard(conn)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		_ = conn.Close()
		return ErrClosed
	}
	c.conn = conn
	close(c.online)
	c.mu.Unlock()
	c.wakeReports()
	if c.gw != nil {
		c.gw.connected()
	}
	if f := c.cfg.Handlers.Connected; f != nil {
		f(c.ctx)
	}
	return nil
}

// unheard tells, once, that handlers will never be called: over some transports
// nothing reaches a device but answers.
func (c *Client) unheard(conn hal.Conn) {
	o, ok := conn.(hal.OneWay)
	if !ok || !c.cfg.Handlers.asked() {
		return
	}
	c.oneWay.Do(func() { c.cfg.Logger.Warn("handlers are not called", "device", c.Device(), "error", o.NoDownlink()) })
}

// sign makes the login of a device with its secret.
func (c *Client) sign(id hal.Identity) auth.Triple {
	o := auth.MQTTOptions{
		Method: c.cfg.Sign, SecureMode: c.cfg.SecureMode, ServerSubscribe: !c.cfg.ExplicitSubscribe, Ext: 3,
		Params: c.params(id)[2:],
	}
	return auth.SignMQTT(id.Device, id.DeviceSecret, o)
}

// params are what a login tells beside its proof.
func (c *Client) params(id hal.Identity) []auth.Param {
	list := []auth.Param{{Key: "_ss", Value: "1"}, {Key: "ext", Value: "3"}, {Key: "lan", Value: "Golang"}, {Key: "_v", Value: "openalink-0"}}
	if c.cfg.ExplicitSubscribe {
		list[0].Value = "0"
	}
	if id.PartnerID != "" {
		list = append(list, auth.Param{Key: "pid", Value: id.PartnerID})
	}
	if id.ModuleID != "" {
		list = append(list, auth.Param{Key: "mid", Value: id.ModuleID})
	}
	return list
}

func (c *Client) loginWith(tr auth.Triple) hal.Login {
	return hal.Login{
		ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password,
		KeepAlive: c.cfg.KeepAlive, CleanSession: c.cfg.CleanSession,
	}
}

// subscribeAll restores what the session must hear. Every grant is looked at: a
// refused filter fails the login, because messages would be missed silently.
func (c *Client) subscribeAll(ctx context.Context, conn hal.Conn) error {
	c.mu.Lock()
	filters := append([]hal.Filter(nil), c.filters...)
	id := c.id.Device
	c.mu.Unlock()
	if c.cfg.ExplicitSubscribe {
		for _, f := range []string{
			topic.Sys(id, "thing/#"), topic.Sys(id, "rrpc/request/+"), "/ext/rrpc/+/#", topic.Ext("ntp/response", id),
			topic.Ext("error", id), topic.Sys(id, "broadcast/request/+"), topic.Shadow("get", id),
			topic.OTA("upgrade", id),
		} {
			filters = append(filters, hal.Filter{Topic: f, QoS: 1})
		}
		if c.gw != nil { // answers to the logins of its sub-devices
			filters = append(filters, hal.Filter{Topic: topic.Ext("session/#", id), QoS: 1})
		}
	}
	for len(filters) > 0 {
		n := min(len(filters), 8) // the most one request may have
		if err := subscribe(ctx, conn, filters[:n]); err != nil {
			return err
		}
		filters = filters[n:]
	}
	return nil
}

func subscribe(ctx context.Context, conn hal.Conn, filters []hal.Filter) error {
	s, ok := conn.(hal.SubscribingConn)
	if !ok {
		return fmt.Errorf("device: transport has no subscriptions")
	}
	grants, err := s.Subscribe(ctx, filters)
	if err != nil {
		return err
	}
	for i, g := range grants {
		if g == hal.Refused {
			return fmt.Errorf("%w: %s", ErrRefusedTopic, filters[i].Topic)
		}
	}
	return nil
}

// watch has the Client come back when conn ends. c.mu is held.
func (c *Client) watch(conn hal.Conn, backoff time.Duration) {
	since := time.Now()
	again := func() { c.comeBack(conn, since, backoff) }
	if sub, ok := conn.(*subConn); ok { // thousands of them need no goroutine each to wait
		ended := func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.spawn(again)
		}
		if !sub.whenDone(ended) {
			c.spawn(again)
		}
		return
	}
	c.spawn(func() {
		select {
		case <-conn.Done():
		case <-c.ctx.Done():
		}
		again()
	})
}

// comeBack logs in again after a connection, that was opened at since, ended.
func (c *Client) comeBack(conn hal.Conn, since time.Time, backoff time.Duration) {
	_ = conn.Close()
	if c.ctx.Err() != nil {
		return
	}
	c.lost()
	if time.Since(since) > c.cfg.MaxBackoff {
		backoff = c.cfg.MinBackoff // it was a good connection
	}
	for {
		backoff = c.pause(backoff)
		if c.ctx.Err() != nil {
			return
		}
		err := c.login(c.ctx)
		if err == nil {
			break
		}
		c.cfg.Logger.Warn("login failed", "device", c.Device(), "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch(c.conn, backoff)
}

// lost notes the end of a connection.
func (c *Client) lost() {
	c.mu.Lock()
	c.conn = nil
	c.online = make(chan struct{})
	c.mu.Unlock()
	if c.gw != nil {
		c.gw.lost()
	}
	if f := c.cfg.Handlers.Disconnected; f != nil && c.ctx.Err() == nil {
		f(c.ctx)
	}
}

// pause sleeps for a random time and returns the bound of the next one: the
// decorrelated jitter that keeps a fleet from coming back all at once.
func (c *Client) pause(last time.Duration) time.Duration {
	next := min(c.cfg.MinBackoff+c.random(max(3*last-c.cfg.MinBackoff, 1)), c.cfg.MaxBackoff)
	t := time.NewTimer(next)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
	return next
}

// random returns a duration below bound.
func (c *Client) random(bound time.Duration) time.Duration {
	var b [8]byte
	if _, err := io.ReadFull(c.cfg.Random, b[:]); err != nil {
		return bound / 2 // a board without random numbers still reconnects
	}
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % uint64(bound))
}
