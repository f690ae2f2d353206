// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"errors"

	"github.com/mochi-mqtt/server/v2/packets"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

// flight is a QoS 1 message of the device that is not acknowledged yet.
type flight struct {
	id      uint16
	done    bool
	answers []outgoing
}

// publish hands a message to the session. It reports whether the connection goes
// on.
func (c *conn) publish(pk *packets.Packet) bool {
	m := iot.Message{Topic: pk.TopicName, Payload: pk.Payload, QoS: qos(pk.FixedHeader.Qos)}
	var f *flight
	if m.QoS > iot.AtMostOnce {
		if f = c.admit(pk.PacketID); f == nil {
			return false
		}
	}
	c.sess.Receive(c.ctx, m, func(answers []iot.Message, err error) { c.settle(f, m, answers, err) })
	return true
}

// admit gives a message its place in the window, waiting for room.
func (c *conn) admit(id uint16) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.flights) >= c.window && !c.over {
		c.changed.Wait()
	}
	if c.over {
		return nil
	}
	f := &flight{id: id}
	c.flights = append(c.flights, f)
	return f
}

// settle is the done of a message: it never blocks.
func (c *conn) settle(f *flight, m iot.Message, answers []iot.Message, err error) {
	if _, rejected := errors.AsType[*hal.RejectedError](err); err != nil && !rejected {
		c.g.cfg.Logger.Error("message not kept", "client", clip(c.connect.ClientID), "err", err)
		c.abort(hal.CauseNotKept)
		return
	}
	out := c.encode(answers)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.g.fwd != nil {
		c.g.fwd.put(m)
	}
	if f == nil {
		c.append(out...)
		return
	}
	f.done, f.answers = true, out
	for len(c.flights) > 0 && c.flights[0].done {
		first := c.flights[0]
		c.flights = c.flights[1:]
		c.append(outgoing{pk: packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: first.id}})
		c.append(first.answers...)
	}
	c.changed.Broadcast()
}

// encode copies answers, which leave with QoS 0 whatever they ask for. What cannot
// be sent is left out.
func (c *conn) encode(answers []iot.Message) []outgoing {
	var out []outgoing
	for _, m := range answers {
		m.QoS = iot.AtMostOnce
		if err := sendable(hal.Delivery{Message: m}); err != nil {
			c.g.cfg.Logger.Error("answer dropped", "client", clip(c.connect.ClientID), "err", err)
			continue
		}
		out = append(out, publication(hal.Delivery{Message: m}, nil))
	}
	return out
}
