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

	// Of a write that does not block. They are here because few connections
	// write at the same time.
	tryWrite func(fd uintptr) bool // bound once
	n        int
	err      error
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
	o.b, o.dones, o.err = o.b[:0], o.dones[:0], nil
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
	case c.writing > 0: // whoever writes looks again
	case c.parsing:
		// The read loop flushes at the end of its batch, unless the platform
		// keeps it waiting.
		if !c.late {
			c.late = true
			c.s.flushers[c.shard].addLate(c)
		}
	case !c.queued:
		c.queued = true
		c.s.flushers[c.shard].add(c)
	}
}

// pending returns how many bytes wait for the client. The caller holds c.mu.
func (c *conn) pending() int {
	if c.out == nil {
		return c.writing
	}
	return len(c.out.b) + c.writing
}

// take starts writing what is gathered: from here to wrote, nobody else
// writes. The caller holds c.mu.
func (c *conn) take() *outBuffer {
	out := c.out
	c.out, c.writing = nil, max(len(out.b), 1)
	return out
}

// wrote ends the writing of out. The caller holds c.mu, which is given up
// while dones are called.
func (c *conn) wrote(out *outBuffer, err error) {
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.writing = 0
		c.wake()
	}()
	if err != nil {
		if !saidGoodbye(err) {
			c.Close(causeOfWrite(err))
		}
		err = hal.ErrGone
	}
	c.s.outs.put(out, err)
}

// flush writes what is gathered and never blocks. The caller holds c.mu, which
// is given up during system calls.
func (c *conn) flush() {
	for c.out != nil && c.writing == 0 && !c.closed {
		out := c.take()
		if c.raw == nil {
			c.startWriter(out, 0)
			return
		}
		c.mu.Unlock()
		n, err := c.raw.write(out)
		c.mu.Lock()
		if err == nil && n < len(out.b) {
			c.startWriter(out, n)
			return
		}
		c.wrote(out, err)
	}
}

// startWriter writes out from n on in a goroutine that may block.
func (c *conn) startWriter(out *outBuffer, n int) {
	c.s.running.Add(1)
	go c.writeSlowly(out, n)
}

// writeSlowly goes on until nothing is gathered.
func (c *conn) writeSlowly(out *outBuffer, n int) {
	defer c.s.running.Done()
	defer c.recovered("writer")
	for out != nil {
		err := c.writeChunks(out.b[n:])
		out, n = c.more(out, err), 0
	}
}

// more returns what to write after out, nil for nothing.
func (c *conn) more(out *outBuffer, err error) *outBuffer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrote(out, err)
	if c.out == nil || c.closed {
		return nil
	}
	return c.take()
}
