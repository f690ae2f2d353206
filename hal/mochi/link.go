// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

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
	c.wakeWriter()
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
	c.wakeWriter()
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
func (c *conn) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = true
	c.wakeWriter()
}

// wakeWriter starts the goroutine that writes, if it has something to do and does
// not run. c.mu is held. There is none for an idle connection.
func (c *conn) wakeWriter() {
	if c.started && !c.writing && !c.over && (len(c.out) > 0 || c.last) {
		c.writing = true
		c.writer.Go(c.write)
	}
}

func (c *conn) write() {
	for {
		o, last, ok := c.nextOut()
		if last {
			_ = c.Close()
		}
		if !ok {
			return
		}
		err := c.client.WritePacket(o.pk)
		c.written(o)
		if err != nil {
			_ = c.Close()
			err = hal.ErrGone
		}
		if o.id == 0 {
			c.call(o.done, err)
		}
		if err != nil {
			c.mu.Lock()
			c.writing = false
			c.mu.Unlock()
			return
		}
	}
}

// nextOut takes a packet. Without one the writer ends, and with it the connection
// if this was the last.
func (c *conn) nextOut() (o outgoing, last, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || len(c.out) == 0 {
		c.writing = false
		c.changed.Broadcast()
		return o, c.last, false
	}
	o = c.out[0]
	c.out[0] = outgoing{}
	if c.out = c.out[1:]; len(c.out) == 0 {
		c.out = nil
	}
	return o, false, true
}

func (c *conn) written(o outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outBytes -= o.size
	c.changed.Broadcast()
}
