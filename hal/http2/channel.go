// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/hal"
)

// maxTries is how often a message comes over one connection before it is left for
// the next.
const maxTries = 16

// channel is a connection of a device, and the hal.Link of its session.
type channel struct {
	id      string
	limit   int // bytes that may wait, for the writer or for an answer
	again   time.Duration
	session hal.Session
	window  chan struct{} // places of messages in flight
	turn    chan struct{} // capacity 1: one message enters the platform at a time
	heard   atomic.Int64  // when the client last gave a sign of life, Unix nanoseconds
	wake    chan struct{} // capacity 1: there is something for the writer
	ended   chan struct{} // closed with cause
	refuse  context.CancelFunc

	mu      sync.Mutex
	control *http.ResponseController // of the writer, while it runs
	queue   []outgoing
	size    int                // of lines in queue and flights
	flights map[uint64]*flight // by handle
	handles uint64             // the last one
	open    bool               // the platform accepted
	cause   hal.Cause          // why it ended; empty while open
}

// outgoing is a line that waits for the writer.
type outgoing struct {
	line []byte
	done func(error) // of a message with QoS 0; nil for none
}

// flight is a message that waits for its answer.
type flight struct {
	line  []byte
	done  func(error)
	tries int
	due   time.Time // when it comes again; zero never
}

func newChannel(id string, cfg *Config, refuse context.CancelFunc) *channel {
	c := &channel{
		id: id, limit: cfg.MaxOutgoing, again: cfg.Redeliver, refuse: refuse, turn: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), flights: map[uint64]*flight{},
	}
	c.alive()
	return c
}

func (c *channel) alive() { c.heard.Store(time.Now().UnixNano()) }

func (c *channel) silence() time.Duration { return time.Since(time.Unix(0, c.heard.Load())) }

// Send implements hal.Link.
func (c *channel) Send(_ context.Context, d hal.Delivery, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	if err := c.send(&d, done); err != nil {
		done(err)
	}
}

func (c *channel) send(d *hal.Delivery, done func(error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(d.Message.Payload) + len(d.Message.Topic)
	switch {
	case c.cause != "":
		return hal.ErrGone
	case c.size > 0 && c.size+size*4/3 > c.limit:
		return hal.ErrFull
	}
	if d.PacketID == 0 {
		c.put(appendMessage(nil, d, 0), done)
		return nil
	}
	c.handles++
	line := appendMessage(nil, d, c.handles)
	c.flights[c.handles] = &flight{line: line, done: done, tries: 1, due: time.Now().Add(c.again)}
	c.size += len(line)
	c.put(line, nil)
	return nil
}

// put queues a line; the lock is held.
func (c *channel) put(line []byte, done func(error)) {
	if done != nil {
		c.size += len(line)
	}
	c.queue = append(c.queue, outgoing{line, done})
	c.nudge()
}

// nudge has the writer look around.
func (c *channel) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take ends the flight of a handle, nil when there is none.
func (c *channel) take(handle string) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.flights[handleOf(handle)]
	if f != nil {
		delete(c.flights, handleOf(handle))
		c.size -= len(f.line)
	}
	return f
}

// answer does what a line of the device says. Handles that mean nothing, such as
// those of an earlier connection, are passed over.
func (c *channel) answer(u *up) {
	for _, handle := range u.Done {
		if f := c.take(handle); f != nil {
			f.done(nil)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, handle := range u.Again {
		if f := c.flights[handleOf(handle)]; f != nil {
			f.due = time.Now().Add(u.delay())
		}
	}
	for _, handle := range u.Later {
		if f := c.flights[handleOf(handle)]; f != nil {
			f.due = time.Time{}
		}
	}
	if len(u.Again) > 0 {
		c.nudge()
	}
}

// due queues what is to come again, and returns when it is to be asked next; zero
// for never.
func (c *channel) due(now time.Time) (next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.flights {
		if !f.due.IsZero() && !f.due.After(now) {
			f.due = time.Time{}
			if f.tries < maxTries {
				f.tries++
				f.due = now.Add(c.again)
				c.put(repeated(f.line), nil)
			}
		}
		if !f.due.IsZero() && (next.IsZero() || f.due.Before(next)) {
			next = f.due
		}
	}
	return next
}

// waiting takes what is queued.
func (c *channel) waiting() []outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queue
	c.queue = nil
	return q
}

// written tells that lines left.
func (c *channel) written(list []outgoing) {
	for _, o := range list {
		if o.done == nil {
			continue
		}
		c.mu.Lock()
		c.size -= len(o.line)
		c.mu.Unlock()
		o.done(nil)
	}
}

// lastWords is how long what was sent before the end may take to leave.
const lastWords = time.Second

// Close implements hal.Link.
func (c *channel) Close(cause hal.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != "" {
		return
	}
	c.cause = cause
	close(c.ended)
	c.refuse()
	if c.control != nil {
		_ = c.control.SetWriteDeadline(time.Now().Add(lastWords))
	}
}

// accept makes the connection ready for messages.
func (c *channel) accept(s hal.Session, window int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session, c.window, c.open = s, make(chan struct{}, window), true
}

// usable reports whether messages of the device may enter.
func (c *channel) usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open && c.cause == ""
}

func (c *channel) why() hal.Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// gone answers everything that has no answer yet.
func (c *channel) gone() {
	c.mu.Lock()
	queue, flights := c.queue, c.flights
	c.queue, c.flights, c.size = nil, nil, 0
	c.mu.Unlock()
	for _, o := range queue {
		if o.done != nil {
			o.done(hal.ErrGone)
		}
	}
	for _, f := range flights {
		f.done(hal.ErrGone)
	}
}
