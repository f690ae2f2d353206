// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"context"
	"errors"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// errDelivery is the platform's mistake.
var errDelivery = errors.New("mqttd: delivery needs a topic of 1 to 65535 bytes, QoS 0 or 1, a packet id for QoS 1, and at most 256 MB")

const maxTopic = 1<<16 - 1

// Send implements hal.Link.
func (c *conn) Send(_ context.Context, d hal.Delivery, done func(error)) {
	err := c.send(d, done)
	if err != nil && done != nil {
		done(err)
	}
}

// send queues d. done is remembered unless the error is not nil.
func (c *conn) send(d hal.Delivery, done func(error)) error {
	m := publishOf(d.Message)
	m.QoS, m.PacketID, m.Dup = byte(d.Message.QoS), d.PacketID, d.Dup
	if !sendable(&m) || m.QoS > 1 || m.QoS == 1 && m.PacketID == 0 {
		return errDelivery
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return hal.ErrGone
	}
	if n := c.pending(); n > 0 && n+m.Len() > c.s.cfg.MaxOut {
		return hal.ErrFull
	}
	out := c.gather()
	out.b = mqttwire.AppendPublish(out.b, &m)
	if done == nil {
		return nil
	}
	if m.QoS == 0 {
		out.dones = append(out.dones, done)
		return nil
	}
	c.remember(m.PacketID, done)
	return nil
}

// remember keeps done until the client acknowledges id. The caller holds c.mu.
func (c *conn) remember(id uint16, done func(error)) {
	if c.unacked == nil {
		c.unacked = make(map[uint16]func(error))
	}
	if older := c.unacked[id]; older != nil {
		newer := done
		done = func(err error) { older(err); newer(err) }
	}
	c.unacked[id] = done
}

// puback takes the client's acknowledgement. An unknown id is ignored: it may
// belong to a connection before this one.
func (c *conn) puback(body []byte) hal.Cause {
	id, err := mqttwire.ParseID(body)
	if err != nil {
		return hal.CauseProtocol
	}
	c.mu.Lock()
	done := c.unacked[id]
	delete(c.unacked, id)
	c.mu.Unlock()
	if done != nil {
		done(nil)
	}
	return ""
}

// publishOf is m as a QoS 0 packet.
func publishOf(m iot.Message) mqttwire.Publish {
	return mqttwire.Publish{Topic: m.Topic, Payload: m.Payload}
}

func sendable(m *mqttwire.Publish) bool {
	return 0 < len(m.Topic) && len(m.Topic) <= maxTopic && m.Len() <= mqttwire.MaxRemaining
}
