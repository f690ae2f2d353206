// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"errors"
	"io"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// loop reads until the connection ends.
func (c *conn) loop() {
	c.finish(c.serve())
}

// serve handles packets in batches: all that a read brought.
func (c *conn) serve() (cause hal.Cause) {
	defer func() {
		if cause == "" { // on the way up from a panic
			cause = hal.CauseNotKept
		}
	}()
	defer c.recovered("read loop")
	for {
		c.begin()
		if cause := c.batch(); cause != "" {
			return cause
		}
		if !c.rest() {
			return hal.CauseServerStop
		}
		if cause := c.fill(); cause != "" {
			return cause
		}
	}
}

// begin makes this loop the one that flushes.
func (c *conn) begin() {
	c.mu.Lock()
	c.parsing = true
	c.mu.Unlock()
}

// batch handles the packets that are complete.
func (c *conn) batch() hal.Cause {
	for {
		p, err := c.in.next(c.s.cfg.MaxPacket)
		if err != nil {
			c.s.cfg.Logger.Info("bad packet", "client", c.id, "err", err)
			return hal.CauseProtocol
		}
		if p.First == 0 {
			return ""
		}
		if cause := c.packet(p); cause != "" {
			return cause
		}
	}
}

// rest flushes what became ready during the batch and waits while the client
// does not take it. It reports whether to read on.
func (c *conn) rest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parsing = false
	c.flush()
	c.wait(func(c *conn) bool { return c.pending() > c.s.cfg.MaxOut })
	if c.draining {
		c.wait(func(c *conn) bool { return c.flights.len() > 0 || c.pending() > 0 })
	}
	return !c.closed && !c.draining
}

// packet handles one packet. The cause is empty when the connection goes on.
func (c *conn) packet(p mqttwire.Packet) hal.Cause {
	switch p.Type() {
	case mqttwire.TypePublish:
		return c.publish(p)
	case mqttwire.TypePuback:
		return c.puback(p.Body)
	case mqttwire.TypeSubscribe:
		return c.subscribe(p.Body)
	case mqttwire.TypeUnsubscribe:
		return c.unsubscribe(p.Body)
	case mqttwire.TypePingreq:
		return c.pingreq(p.Body)
	case mqttwire.TypeDisconnect:
		if len(p.Body) == 0 {
			return hal.CauseClient
		}
	}
	// A second CONNECT, packets only a server sends, and QoS 2, which is never
	// offered.
	c.s.cfg.Logger.Info("packet out of place", "client", c.id, "type", p.Type().String())
	return hal.CauseProtocol
}

func (c *conn) pingreq(body []byte) hal.Cause {
	if len(body) > 0 {
		return hal.CauseProtocol
	}
	c.reply(func(b []byte) []byte { return mqttwire.AppendPingresp(b) })
	return ""
}

// reply appends a packet unless the connection is closed.
func (c *conn) reply(encode func([]byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		out := c.gather()
		out.b = encode(out.b)
	}
}

// fill reads more bytes. The cause is empty when there are some.
func (c *conn) fill() hal.Cause {
	n, err := c.read()
	if n > 0 {
		c.last.Store(c.s.wheel.now.Load())
		return ""
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF) && c.drains():
		return "" // woken to drain
	case errors.Is(err, errFrames):
		return hal.CauseProtocol
	}
	return hal.CauseReset
}

func (c *conn) drains() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining && !c.closed
}

// read reads into c.in. While nothing is there, the connection holds as little
// memory as its transport allows.
func (c *conn) read() (int, error) {
	switch {
	case c.raw != nil:
		return c.raw.read()
	case c.tls != nil:
		return c.readTLS()
	}
	if c.in.buf != nil && c.in.off == c.in.end {
		c.in.park()
	}
	if c.in.buf == nil && len(c.in.kept) == 0 {
		n, err := c.nc.Read(c.small[:])
		if n > 0 {
			c.in.got(copy(c.in.room(&c.s.buffers), c.small[:n]))
		}
		return n, err
	}
	n, err := c.nc.Read(c.in.room(&c.s.buffers))
	c.in.got(n)
	return n, err
}
