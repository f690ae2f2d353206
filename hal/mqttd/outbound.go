// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"sync"

	"github.com/openalink/iot/hal"
)

const (
	outBufferSize = 4 << 10
	maxPooledOut  = 64 << 10
)

// outBuffer gathers packets on their way to a client, and the dones to call
// once they are written.
type outBuffer struct {
	b     []byte
	dones []func(error)
}

type outPool struct{ p sync.Pool }

func (p *outPool) get() *outBuffer {
	if o, ok := p.p.Get().(*outBuffer); ok {
		return o
	}
	return &outBuffer{b: make([]byte, 0, outBufferSize)}
}

// put calls the dones and takes the buffer back. No lock may be held.
func (p *outPool) put(o *outBuffer, err error) {
	for i, done := range o.dones {
		o.dones[i] = nil
		done(err)
	}
	if cap(o.b) > maxPooledOut {
		return
	}
	o.b, o.dones = o.b[:0], o.dones[:0]
	p.p.Put(o)
}

// gather returns the buffer to append to and sees to its being flushed. The
// caller holds c.mu and knows that c is not closed.
func (c *conn) gather() *outBuffer {
	if c.out == nil {
		c.out = c.s.outs.get()
		if !c.open {
			c.out.b = append(c.out.b, 0, 0, 0, 0) // the CONNACK goes here
			return c.out
		}
		c.schedule()
	}
	return c.out
}

// schedule arranges the flush of a buffer that has just been begun.
func (c *conn) schedule() {
	switch {
	case c.wr != nil: // whoever writes looks again
	case c.parsing:
		// The read loop flushes at the end of its batch, unless the platform
		// keeps it waiting.
		if !c.late {
			c.late = true
			c.fl.addLate(c)
		}
	case !c.queued:
		c.queued = true
		c.fl.add(c)
	}
}

// pending returns how many bytes wait for the client. The caller holds c.mu.
func (c *conn) pending() int {
	n := 0
	if c.out != nil {
		n = len(c.out.b)
	}
	if c.wr != nil {
		n += len(c.wr.b)
	}
	return n
}

// flush writes what is gathered and never blocks. The caller holds c.mu, which
// is given up during system calls.
func (c *conn) flush() {
	for c.out != nil && c.wr == nil && !c.closed {
		c.wr, c.out = c.out, nil
		if c.raw == nil {
			c.startWriter(0)
			return
		}
		c.mu.Unlock()
		n, err := c.raw.write(c.wr.b)
		c.mu.Lock()
		if err == nil && n < len(c.wr.b) {
			c.startWriter(n)
			return
		}
		c.wrote(err)
	}
	c.wake()
}

// wrote ends the writing of c.wr. The caller holds c.mu, which is given up
// while dones are called.
func (c *conn) wrote(err error) {
	wr := c.wr
	c.mu.Unlock()
	if err != nil {
		c.Close(causeOfWrite(err))
		err = hal.ErrGone
	}
	c.s.outs.put(wr, err)
	c.mu.Lock()
	c.wr = nil
}

// startWriter writes c.wr from n on in a goroutine that may block.
func (c *conn) startWriter(n int) {
	c.s.running.Add(1)
	go c.writeSlowly(n)
}

func (c *conn) writeSlowly(n int) {
	defer c.s.running.Done()
	defer c.recovered("writer")
	for {
		err := c.writeChunks(c.wr.b[n:])
		c.mu.Lock()
		c.wrote(err)
		if c.out == nil || c.closed {
			c.wake()
			c.mu.Unlock()
			return
		}
		c.wr, c.out, n = c.out, nil, 0
		c.wake()
		c.mu.Unlock()
	}
}
