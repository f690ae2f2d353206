// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

const (
	connectTimeout = 10 * time.Second
	writeTimeout   = 10 * time.Second
	goodbye        = 250 // milliseconds to write a DISCONNECT, and for what goes before
	maxUnacked     = 256 // publications at QoS 1 the broker has not acknowledged
)

var (
	errLost    = errors.New("webhook: connection to the broker is lost")
	errNotKept = errors.New("webhook: a message could not be kept")
	errNoSub   = errors.New("webhook: broker refused a subscription")
)

// conn is one connection of a consumer.
type conn struct {
	s       *Server
	client  paho.Client
	ctx     context.Context // ends with the connection
	stop    context.CancelCauseFunc
	unacked chan struct{}
}

func (c *conn) over() bool { return c.ctx.Err() != nil || c.s.base.Err() != nil }

// fail ends the connection, so that the broker repeats what is unacknowledged.
func (c *conn) fail() { c.stop(errNotKept) }

// consumeOnce runs until the connection is lost or ctx ends.
func (s *Server) consumeOnce(ctx context.Context, cfg *Consumer) (up time.Duration, err error) {
	c := &conn{s: s, unacked: make(chan struct{}, maxUnacked)}
	c.ctx, c.stop = context.WithCancelCause(ctx)
	defer c.stop(nil)
	c.client = paho.NewClient(c.options(cfg))
	defer c.client.Disconnect(goodbye)
	if err := c.wait(c.client.Connect()); err != nil {
		return 0, err
	}
	start := time.Now()
	s.connected(cfg)
	defer s.connected(nil)
	if err := c.subscribe(cfg); err != nil {
		return 0, err
	}
	if cfg.Subscribed != nil {
		cfg.Subscribed()
	}
	c.send()
	return time.Since(start), context.Cause(c.ctx)
}

func (c *conn) options(cfg *Consumer) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker(cfg.URL).SetClientID(cfg.ClientID).
		SetUsername(cfg.UserName).SetPassword(cfg.Password.Reveal()).
		SetCleanSession(false).SetProtocolVersion(4).SetKeepAlive(30 * time.Second).SetPingTimeout(30 * time.Second).
		SetConnectTimeout(connectTimeout).SetWriteTimeout(writeTimeout).
		SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true).SetAutoAckDisabled(true).
		SetDefaultPublishHandler(c.received).
		SetConnectionLostHandler(func(_ paho.Client, err error) { c.stop(fmt.Errorf("%w: %w", errLost, err)) })
	if cfg.TLS != nil {
		o.SetTLSConfig(cfg.TLS)
	}
	return o
}

func (c *conn) wait(token paho.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *conn) subscribe(cfg *Consumer) error {
	wanted := make(map[string]byte, len(cfg.Filters))
	for _, f := range cfg.Filters {
		if cfg.Group != "" {
			f = "$share/" + cfg.Group + "/" + f
		}
		wanted[f] = 1
	}
	token := c.client.SubscribeMultiple(wanted, nil)
	if err := c.wait(token); err != nil {
		return err
	}
	if t, ok := token.(*paho.SubscribeToken); ok {
		for f, qos := range t.Result() {
			if qos > 1 {
				return fmt.Errorf("%w: %s", errNoSub, f)
			}
		}
	}
	return nil
}

// received takes a message from the broker, in the order it sends them. It is
// called on Paho's goroutine.
func (c *conn) received(_ paho.Client, p paho.Message) {
	m := iot.Message{Topic: p.Topic(), Payload: p.Payload(), QoS: iot.QoS(p.Qos())}
	in := inbound{m: m, from: c, number: c.s.came.Add(1)}
	if m.QoS > iot.AtMostOnce {
		in.ack = func() { _ = c.s.outbox.put(outgoing{ack: p}) }
	}
	t, err := topic.Parse(m.Topic)
	if err != nil || goesDown(&t) || c.s.echoes.take(m, c, p.Duplicate()) {
		in.finish()
		return
	}
	from := c.s.findSpeaker(c.ctx, t.Device)
	if from == nil || !from.lane.put(c.ctx, in) {
		if !c.over() { // else the broker sends it again
			c.s.dropped.Add(1)
			in.finish()
			c.s.stranger(t.Device, from == nil)
		}
	}
}

// send publishes and acknowledges what waits, until the connection ends.
func (c *conn) send() {
	for {
		for _, out := range c.s.outbox.all() {
			c.sendOne(out)
		}
		select {
		case <-c.s.outbox.filled:
		case <-c.ctx.Done():
			c.acknowledge()
			return
		}
	}
}

// acknowledge sends the acknowledgements that wait, so that the broker does not
// repeat what is durable. A broker that does not read has no time for them.
func (c *conn) acknowledge() {
	sent := make(chan struct{})
	acks := c.s.outbox.acks()
	go func() { // ends with the connection
		defer close(sent)
		for _, a := range acks {
			a.Ack()
		}
	}()
	select {
	case <-sent:
	case <-time.After(goodbye * time.Millisecond):
	}
}

func (c *conn) sendOne(out outgoing) {
	if out.ack != nil {
		out.ack.Ack()
		return
	}
	if out.m.QoS > iot.AtMostOnce {
		select {
		case c.unacked <- struct{}{}:
		case <-c.ctx.Done():
			out.finish(hal.ErrFull)
			return
		}
	}
	token := c.client.Publish(out.m.Topic, byte(out.m.QoS), false, out.m.Payload)
	if out.m.QoS == iot.AtMostOnce {
		out.finish(c.outcome(c.wait(token)))
		return
	}
	started := c.s.run(func() {
		err := c.wait(token)
		<-c.unacked
		out.finish(c.outcome(err))
	})
	if !started {
		out.finish(hal.ErrGone)
	}
}

// outcome is what the platform is told: a publication the broker did not confirm
// is tried again.
func (c *conn) outcome(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", hal.ErrFull, err)
	}
	return nil
}
