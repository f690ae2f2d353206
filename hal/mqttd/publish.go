// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"errors"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// inflight is a message the platform has not finished with. Its done is bound
// once for the life of the record, which goes back to the pool afterwards, so
// that handing a message over allocates nothing.
type inflight struct {
	c    *conn
	buf  *readBuffer
	pos  uint32
	qos  byte
	done func([]iot.Message, error)
}

type inflightPool struct{ p sync.Pool }

func (p *inflightPool) get() *inflight {
	if f, ok := p.p.Get().(*inflight); ok {
		return f
	}
	f := new(inflight)
	f.done = f.finish
	return f
}

func (p *inflightPool) put(f *inflight) {
	f.c, f.buf = nil, nil
	p.p.Put(f)
}

// publish hands a message to the session.
func (c *conn) publish(p mqttwire.Packet) hal.Cause {
	m, err := mqttwire.ParsePublish(p)
	if err != nil {
		return hal.CauseProtocol
	}
	if m.QoS > 1 {
		c.s.cfg.Logger.Warn("publish with QoS 2", "client", c.id)
		return hal.CauseProtocol
	}
	f := c.s.flights.get()
	f.c, f.buf, f.qos = c, c.in.buf, m.QoS
	if m.QoS == 1 && !c.admit(f, m.PacketID) {
		c.s.flights.put(f)
		return hal.CauseReset // closed meanwhile: that cause stands
	}
	f.buf.ref()
	c.sess.Receive((*lifetime)(c), iot.Message{Topic: m.Topic, Payload: m.Payload, QoS: iot.QoS(m.QoS)}, f.done)
	return ""
}

// admit gives a QoS 1 message its place in the window, waiting for room. It
// reports whether the connection is still open.
func (c *conn) admit(f *inflight, id uint16) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights.len() >= c.window {
		c.wait(func(c *conn) bool { return c.flights.len() >= c.window })
		c.parsing = true
	}
	if c.closed {
		return false
	}
	if c.flights == nil {
		c.flights = new(ring)
	}
	f.pos = c.flights.push(id)
	return true
}

// finish is the done of a message.
func (f *inflight) finish(answers []iot.Message, err error) {
	c, buf := f.c, f.buf
	if err != nil && !rejected(err) {
		c.s.cfg.Logger.Error("message not kept", "client", c.id, "err", err)
		c.Close(hal.CauseNotKept)
	} else if f.qos > 0 || len(answers) > 0 {
		c.settle(f, answers)
	}
	buf.unref()
	c.s.flights.put(f)
}

func rejected(err error) bool {
	_, ok := errors.AsType[*hal.RejectedError](err)
	return ok
}

// settle acknowledges a message and sends its answers, now or when those
// before it are done.
func (c *conn) settle(f *inflight, answers []iot.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if f.qos == 0 {
		out := c.gather()
		out.b = c.appendAnswers(out.b, answers)
		return
	}
	c.flights.at(f.pos).done = true
	if f.pos != c.flights.head {
		if len(answers) > 0 {
			c.flights.hold(f.pos, c.appendAnswers(nil, answers))
		}
		return
	}
	id, _, _ := c.flights.pop()
	out := c.gather()
	out.b = c.appendAnswers(mqttwire.AppendPuback(out.b, id), answers)
	for {
		id, held, ok := c.flights.pop()
		if !ok {
			break
		}
		out.b = append(mqttwire.AppendPuback(out.b, id), held...)
	}
	c.wake()
}

// appendAnswers encodes answers with QoS 0, whatever they ask for: only the
// platform can give out packet ids.
func (c *conn) appendAnswers(dst []byte, answers []iot.Message) []byte {
	for i := range answers {
		m := publishOf(answers[i])
		if !sendable(&m) {
			c.s.cfg.Logger.Error("answer dropped", "client", c.id, "err", errDelivery)
			continue
		}
		dst = mqttwire.AppendPublish(dst, &m)
	}
	return dst
}
