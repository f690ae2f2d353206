// SPDX-License-Identifier: Apache-2.0

package mqtt

import (
	"context"
	"fmt"
	"net"

	paho "github.com/eclipse/paho.mqtt.golang"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
)

type netConn = net.Conn

// conn is a hal.Conn on a Paho client. Paho calls received on the goroutine that
// reads the connection, where waiting for anything the connection must bring
// would wait forever; so messages go through an inbox.
type conn struct {
	client paho.Client
	inbox  *inbox.Inbox
}

func (c *conn) received(_ paho.Client, m paho.Message) {
	c.inbox.Put(iot.Message{Topic: m.Topic(), Payload: m.Payload(), QoS: iot.QoS(m.Qos())})
}

// wait waits for a token without ever outliving the context or the connection.
func (c *conn) wait(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		if token.Error() != nil {
			return c.gone(token.Error())
		}
		return nil
	case <-c.inbox.Done():
		return hal.ErrGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gone says ErrGone for what Paho answers when there is no connection.
func (c *conn) gone(err error) error {
	if !c.client.IsConnectionOpen() {
		return fmt.Errorf("%w: %w", hal.ErrGone, err)
	}
	return fmt.Errorf("mqtt: %w", err)
}

// Publish implements hal.Conn.
func (c *conn) Publish(ctx context.Context, m iot.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.wait(ctx, c.client.Publish(m.Topic, byte(m.QoS), false, append([]byte(nil), m.Payload...)))
}

// Subscribe implements hal.SubscribingConn.
func (c *conn) Subscribe(ctx context.Context, filters []hal.Filter) ([]hal.Grant, error) {
	wanted := make(map[string]byte, len(filters))
	for _, f := range filters {
		wanted[f.Topic] = byte(f.QoS)
	}
	token := c.client.SubscribeMultiple(wanted, nil)
	err := c.wait(ctx, token)
	result, ok := token.(*paho.SubscribeToken)
	select {
	case <-token.Done():
	default:
		return nil, err
	}
	if !ok || err != nil && len(result.Result()) == 0 {
		return nil, err
	}
	grants := make([]hal.Grant, len(filters))
	for i, f := range filters {
		grants[i] = hal.Grant(result.Result()[f.Topic])
	}
	return grants, nil
}

// Unsubscribe implements hal.SubscribingConn.
func (c *conn) Unsubscribe(ctx context.Context, filters []string) error {
	return c.wait(ctx, c.client.Unsubscribe(filters...))
}

// Done implements hal.Conn.
func (c *conn) Done() <-chan struct{} { return c.inbox.Done() }

// goodbye is how many milliseconds Paho may take to write the DISCONNECT.
const goodbye = 250

// Close implements hal.Conn. It must not be called from recv.
func (c *conn) Close() error {
	c.client.Disconnect(goodbye)
	c.inbox.End()
	c.inbox.Wait()
	return nil
}
