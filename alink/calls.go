// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"bytes"
	"context"
	"sync"
)

// Calls pairs requests that were sent with the answers that come back. It starts
// no goroutines and is safe for concurrent use.
type Calls struct {
	mu      sync.Mutex
	max     int
	pending map[string]*Pending
	closed  error // why, once closed
}

// NewCalls returns a Calls that lets max calls wait at once, at least one.
func NewCalls(max int) *Calls {
	if max < 1 {
		max = 1
	}
	return &Calls{max: max, pending: make(map[string]*Pending)}
}

// Pending is a call that waits for its answer.
type Pending struct {
	c      *Calls
	id     string
	done   chan struct{} // closed when answer and err are set
	answer Answer
	err    error
}

// Answer is what came back.
type Answer struct {
	Payload []byte
}

// Message parses the answer. The error wraps ErrMalformed. A parsed answer may
// still be a refusal: see Message.Err.
func (a Answer) Message() (Message, error) {
	var m Message
	err := Parse(a.Payload, &m)
	return m, err
}

// Start makes room for the answer to the request called id, before the request
// is sent. Wait or Cancel must follow. Errors: ErrTooMany, ErrDuplicate, and what
// Close was given once it was called.
func (c *Calls) Start(id string) (*Pending, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed != nil:
		return nil, c.closed
	case c.pending[id] != nil:
		return nil, ErrDuplicate
	case len(c.pending) >= c.max:
		return nil, ErrTooMany
	}
	p := &Pending{c: c, id: id, done: make(chan struct{})}
	c.pending[id] = p
	return p, nil
}

// Resolve hands the answer to who waits for id and reports whether anybody did.
// The payload is copied.
func (c *Calls) Resolve(id string, payload []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[id]
	if p == nil {
		return false
	}
	p.answer.Payload = bytes.Clone(payload)
	p.end(nil)
	return true
}

// Len returns how many calls wait.
func (c *Calls) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// Close ends all calls with err, or ErrClosed when err is nil, and refuses new
// ones. Closing again changes nothing.
func (c *Calls) Close(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return
	}
	if err == nil {
		err = ErrClosed
	}
	c.closed = err
	for _, p := range c.pending {
		p.end(err)
	}
}

// Wait returns the answer, or the error of ctx, Cancel or Close. The call is over
// when it returns; waiting again returns the same.
func (p *Pending) Wait(ctx context.Context) (Answer, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		p.finish(ctx.Err())
	}
	return p.answer, p.err
}

// Cancel ends the call unless it is over. An answer that comes later finds
// nobody.
func (p *Pending) Cancel() { p.finish(ErrCanceled) }

// finish ends the call with err unless something else did.
func (p *Pending) finish(err error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.c.pending[p.id] == p {
		p.end(err)
	}
}

// end is called once, with the lock of p.c held.
func (p *Pending) end(err error) {
	p.err = err
	delete(p.c.pending, p.id)
	close(p.done)
}
