// SPDX-License-Identifier: Apache-2.0

package mqtt

import (
	"context"
	"fmt"
	"net"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

type netConn = net.Conn

// conn is a hal.Conn on a Paho client. Paho calls received on the goroutine that
// reads the connection, where waiting for anything the connection must bring
// would wait forever; so messages go through a queue to a goroutine of ours.
type conn struct {
	client paho.Client
	recv   func(iot.Message)
	inbox  chan iot.Message
	reader sync.WaitGroup
	once   sync.Once
	done   chan struct{}
}

func newConn(recv func(iot.Message), inbox int) *conn {
	c := &conn{recv: recv, inbox: make(chan iot.Message, inbox), done: make(chan struct{})}
	c.reader.Go(c.read)
	return c
}

func (c *conn) received(_ paho.Client, m paho.Message) {
	select {
	case c.inbox <- iot.Message{Topic: m.Topic(), Payload: m.Payload(), QoS: iot.QoS(m.Qos())}:
	case <-c.done:
	}
}

func (c *conn) read() {
	for {
		select {
		case m := <-c.inbox:
			c.recv(m)
		case <-c.done:
			c.rest()
			return
		}
	}
}

// rest hands over what arrived before the end.
func (c *conn) rest() {
	for {
		select {
		case m := <-c.inbox:
			c.recv(m)
		default:
			return
		}
	}
}

// wait waits for a token without ever outliving the context or the connection.
func (c *conn) wait(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		if token.Error() != nil {
			return c.gone(token.Error())
		}
		return nil
	case <-c.done:
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
func (c *conn) Done() <-chan struct{} { return c.done }

// goodbye is how many milliseconds Paho may take to write the DISCONNECT.
const goodbye = 250

// Close implements hal.Conn. It must not be called from recv.
func (c *conn) Close() error {
	c.client.Disconnect(goodbye)
	c.stop()
	return nil
}

// end notes that the connection is over.
func (c *conn) end() { c.once.Do(func() { close(c.done) }) }

func (c *conn) stop() {
	c.end()
	c.reader.Wait()
}
