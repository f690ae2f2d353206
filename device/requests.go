// SPDX-License-Identifier: Apache-2.0

package device

import (
	"slices"
	"sync"

	iot "github.com/openalink/iot"
)

// requests wait for the handlers. A goroutine serves them while there are any: a
// gateway may have thousands of sub-devices that are asked nothing.
type requests struct {
	most int

	mu      sync.Mutex
	list    []iot.Message
	opened  bool // Connect succeeded
	serving bool // a goroutine works the list off
}

// add appends a request unless most of them wait, and reports whether it did.
func (r *requests) add(c *Client, m iot.Message) bool {
	r.mu.Lock()
	if len(r.list) >= r.most {
		r.mu.Unlock()
		return false
	}
	r.list = append(r.list, m)
	start := r.start()
	r.mu.Unlock()
	if start {
		c.mu.Lock()
		c.spawn(c.serve)
		c.mu.Unlock()
	}
	return true
}

// open lets the handlers see requests from now on. c.mu is held.
func (r *requests) open(c *Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened = true
	if r.start() {
		c.spawn(c.serve)
	}
}

// start reports whether a goroutine must be started, and notes that it is. r.mu
// is held.
func (r *requests) start() bool {
	if r.serving || !r.opened || len(r.list) == 0 {
		return false
	}
	r.serving = true
	return true
}

// next takes the oldest request. Without one the goroutine that asks must end.
func (r *requests) next() (m iot.Message, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		r.list, r.serving = nil, false
		return m, false
	}
	m = r.list[0]
	r.list = slices.Delete(r.list, 0, 1)
	return m, true
}

// serve runs the handlers.
func (c *Client) serve() {
	for c.ctx.Err() == nil {
		m, ok := c.requests.next()
		if !ok {
			return
		}
		c.handle(m)
	}
}
