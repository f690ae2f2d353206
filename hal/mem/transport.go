// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
)

// inboxSize is how many messages a device may be behind with reading; a delivery
// beyond answers hal.ErrFull, as a full socket buffer does.
const inboxSize = 1024

// Transport is a hal.Transport without a wire: every connection calls the
// platform directly. There is no keep-alive, because no wire can break.
type Transport struct{ access hal.Access }

// NewTransport returns a Transport to the platform behind a.
func NewTransport(a hal.Access) *Transport { return &Transport{a} }

// Connect implements hal.Transport.
func (t *Transport) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &conn{inbox: inbox.New(inboxSize, recv), turn: make(chan struct{}, 1)}
	acc, err := t.access.Connect(ctx, &hal.ConnectRequest{
		Protocol: "mem", Version: 4, ClientID: l.ClientID, UserName: l.UserName,
		Credential: auth.NewPassword(l.Password.Reveal()), RemoteAddr: Addr("mem"),
		KeepAlive: l.KeepAlive, CleanSession: l.CleanSession, Link: link{c},
	})
	if err != nil {
		c.inbox.End()
		c.inbox.Wait()
		return nil, err
	}
	c.mu.Lock()
	c.session = acc.Session
	cause := c.cause
	c.mu.Unlock()
	if cause != "" { // kicked while connecting
		acc.Session.Close(cause)
	}
	return c, nil
}

// conn is a connection as the device sees it.
type conn struct {
	inbox *inbox.Inbox
	turn  chan struct{} // capacity 1: one message enters the platform at a time

	mu      sync.Mutex
	session hal.Session
	cause   hal.Cause // why it ended; empty while open
}

// Publish implements hal.Conn.
func (c *conn) Publish(ctx context.Context, m iot.Message) error {
	result := make(chan error, 1)
	own := iot.Message{Topic: strings.Clone(m.Topic), Payload: bytes.Clone(m.Payload), QoS: m.QoS}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // the connection's end stops a Receive that waits
		select {
		case <-c.inbox.Done():
			cancel()
		case <-inner.Done():
		}
	}()
	select {
	case c.turn <- struct{}{}:
	case <-c.inbox.Done():
		return hal.ErrGone
	case <-ctx.Done():
		return ctx.Err()
	}
	c.session.Receive(inner, own, func(answers []iot.Message, err error) {
		for _, a := range answers {
			_ = c.push(a) // answers are QoS 0: a device that does not read misses them
		}
		result <- err
	})
	<-c.turn
	select {
	case err := <-result:
		return c.outcome(err)
	case <-c.inbox.Done():
		return hal.ErrGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outcome tells the device what a wire would: a rejected message is acknowledged
// like any other, a message that was not kept costs the connection.
func (c *conn) outcome(err error) error {
	if _, rejected := errors.AsType[*hal.RejectedError](err); err == nil || rejected {
		return nil
	}
	c.end(hal.CauseNotKept)
	return hal.ErrGone
}

// push hands a copy of m to the device.
func (c *conn) push(m iot.Message) error {
	own := iot.Message{Topic: strings.Clone(m.Topic), Payload: bytes.Clone(m.Payload), QoS: m.QoS}
	select {
	case <-c.inbox.Done():
		return hal.ErrGone
	default:
	}
	if !c.inbox.TryPut(own) {
		return hal.ErrFull
	}
	return nil
}

// Subscribe implements hal.SubscribingConn.
func (c *conn) Subscribe(ctx context.Context, filters []hal.Filter) ([]hal.Grant, error) {
	s, ok := c.session.(hal.Subscriber)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	grants := s.Subscribe(ctx, filters)
	return grants, ctx.Err()
}

// Unsubscribe implements hal.SubscribingConn.
func (c *conn) Unsubscribe(ctx context.Context, filters []string) error {
	s, ok := c.session.(hal.Subscriber)
	if !ok {
		return errors.ErrUnsupported
	}
	s.Unsubscribe(ctx, filters)
	return ctx.Err()
}

// Done implements hal.Conn.
func (c *conn) Done() <-chan struct{} { return c.inbox.Done() }

// Close implements hal.Conn. It must not be called from recv.
func (c *conn) Close() error {
	c.end(hal.CauseClient)
	c.inbox.Wait()
	return nil
}

// end closes the connection once and tells the platform's session.
func (c *conn) end(cause hal.Cause) {
	c.mu.Lock()
	if c.cause != "" {
		c.mu.Unlock()
		return
	}
	c.cause = cause
	session := c.session
	c.mu.Unlock()
	c.inbox.End()
	if session != nil {
		session.Close(cause)
	}
}

// link is a connection as the platform sees it.
type link struct{ c *conn }

// Send implements hal.Link. A delivery counts as acknowledged when the device
// has it in its inbox.
func (l link) Send(_ context.Context, d hal.Delivery, done func(error)) {
	err := l.c.push(d.Message)
	if done != nil {
		done(err)
	}
}

// Close implements hal.Link.
func (l link) Close(cause hal.Cause) { l.c.end(cause) }
