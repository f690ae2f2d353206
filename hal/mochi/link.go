// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

// moment is how long last words may take.
const moment = time.Second

var errDelivery = errors.New("mochi: delivery cannot be sent")

// outgoing is a packet on its way to the client.
type outgoing struct {
	pk   packets.Packet
	id   uint16 // of a delivery with QoS 1: its done waits for the PUBACK
	size int
	done func(error)
}

func publication(d hal.Delivery, done func(error)) outgoing {
	o := outgoing{
		pk: packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: byte(d.Message.QoS), Dup: d.Dup},
			TopicName:   strings.Clone(d.Message.Topic), Payload: append([]byte(nil), d.Message.Payload...), PacketID: d.PacketID,
		},
		size: len(d.Message.Topic) + len(d.Message.Payload),
		done: done,
	}
	if d.Message.QoS > iot.AtMostOnce {
		o.id = d.PacketID
	}
	return o
}

func sendable(d hal.Delivery) error {
	m := &d.Message
	switch {
	case m.Topic == "", len(m.Topic) > 0xffff, strings.ContainsAny(m.Topic, "+#\x00"), !utf8.ValidString(m.Topic),
		m.QoS > iot.AtLeastOnce, (m.QoS == iot.AtLeastOnce) != (d.PacketID != 0):
		return errDelivery
	}
	return nil
}

func (c *conn) send(_ context.Context, d hal.Delivery, done func(error)) {
	if d.Message.QoS == iot.AtMostOnce {
		d.PacketID, d.Dup = 0, false
	}
	err := sendable(d)
	if err == nil {
		err = c.enqueue(d, done)
	}
	if err != nil {
		c.call(done, err)
	}
}

func (c *conn) enqueue(d hal.Delivery, done func(error)) error {
	o := publication(d, done)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over || c.last || c.waiting == nil:
		return hal.ErrGone
	case c.outBytes > 0 && c.outBytes+o.size > c.g.cfg.MaxOut:
		return hal.ErrFull
	}
	if o.id != 0 {
		c.waiting[o.id] = append(c.waiting[o.id], done)
	}
	c.append(o)
	return nil
}

// queue appends packets unless the connection is over.
func (c *conn) queue(out ...outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.append(out...)
}

// append is called with c.mu held.
func (c *conn) append(out ...outgoing) {
	if c.over || c.last {
		return
	}
	for _, o := range out {
		c.out = append(c.out, o)
		c.outBytes += o.size
	}
	c.changed.Broadcast()
}

// pause waits while the client does not take what is sent. It reports whether to
// read on.
func (c *conn) pause() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.outBytes > c.g.cfg.MaxOut && !c.over {
		c.changed.Wait()
	}
	return !c.over
}

// puback completes the deliveries with an id.
func (c *conn) puback(id uint16) {
	c.mu.Lock()
	dones := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	for _, done := range dones {
		c.call(done, nil)
	}
}

// link is a conn as the platform sees it: a net.Conn has another Close.
type link conn

// Send implements hal.Link.
func (l *link) Send(ctx context.Context, d hal.Delivery, done func(error)) {
	(*conn)(l).send(ctx, d, done)
}

// Close implements hal.Link.
func (l *link) Close(cause hal.Cause) {
	c := (*conn)(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == "" {
		c.cause = cause
	}
	if c.last || c.over {
		return
	}
	c.last = true
	c.changed.Broadcast()
	c.cancel() // a login that is under way
	_ = c.Conn.SetWriteDeadline(time.Now().Add(moment))
}

func (c *conn) armWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.last {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(c.g.cfg.WriteTimeout))
	}
}

// start begins to write what is queued, now that the CONNACK is out.
func (c *conn) start(cl *mqtt.Client) {
	c.mu.Lock()
	c.started = true
	c.mu.Unlock()
	c.writer.Go(func() { c.write(cl) })
}

func (c *conn) write(cl *mqtt.Client) {
	for {
		o, ok := c.nextOut()
		if !ok {
			_ = c.Close()
			return
		}
		err := cl.WritePacket(o.pk)
		c.written(o)
		if err != nil {
			_ = c.Close()
			err = hal.ErrGone
		}
		if o.id == 0 {
			c.call(o.done, err)
		}
		if err != nil {
			return
		}
	}
}

// nextOut waits for a packet; there is none when the connection is over, or about
// to be and all is written.
func (c *conn) nextOut() (outgoing, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out) == 0 && !c.over && !c.last {
		c.changed.Wait()
	}
	if c.over || len(c.out) == 0 {
		return outgoing{}, false
	}
	o := c.out[0]
	c.out[0] = outgoing{}
	c.out = c.out[1:]
	c.writing = true
	return o, true
}

func (c *conn) written(o outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outBytes -= o.size
	c.writing = false
	c.changed.Broadcast()
}
