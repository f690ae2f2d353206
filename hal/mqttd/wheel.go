// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/hal"
)

const (
	tick       = time.Second
	wheelSlots = 64
)

// timing is a connection's place in the wheel.
type timing struct {
	last  atomic.Int32 // tick of the last read
	limit atomic.Int32 // allowed silence in ticks, 0 for no limit

	next, prev *conn // guarded by wheel.mu
}

// wheel holds every connection, in the slot of the tick at which it has to be
// looked at again: when its time may be up, 63 ticks ahead at most.
type wheel struct {
	start time.Time
	now   atomic.Int32 // ticks since start

	mu    sync.Mutex
	slots [wheelSlots]*conn
	seen  int32 // the last tick looked at
}

func (w *wheel) add(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link(c)
}

func (w *wheel) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(c)
}

// move places c anew after its limit changed.
func (w *wheel) move(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(c)
	w.link(c)
}

// link puts c into its slot. The caller holds w.mu.
func (w *wheel) link(c *conn) {
	due := w.seen + wheelSlots - 1
	if limit := c.limit.Load(); limit > 0 {
		due = min(due, max(c.last.Load()+limit+1, w.seen+1))
	}
	c.slot = int8(due % wheelSlots)
	head := &w.slots[c.slot]
	c.prev, c.next = nil, *head
	if c.next != nil {
		c.next.prev = c
	}
	*head = c
}

// unlink takes c out of its slot. The caller holds w.mu.
func (w *wheel) unlink(c *conn) {
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.slots[c.slot] = c.next
	}
	c.next, c.prev = nil, nil
}

// expired returns the connections that were silent for too long, and moves the
// others of the slots that are due.
func (w *wheel) expired(now int32) []*conn {
	w.now.Store(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*conn
	first := max(w.seen+1, now-wheelSlots+1)
	w.seen = now
	for t := first; t <= now; t++ {
		for c := w.slots[t%wheelSlots]; c != nil; {
			next := c.next
			if limit := c.limit.Load(); limit > 0 && now-c.last.Load() > limit {
				list = append(list, c)
			}
			w.unlink(c)
			w.link(c)
			c = next
		}
	}
	return list
}

// all returns every connection.
func (w *wheel) all() []*conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*conn
	for _, c := range w.slots {
		for ; c != nil; c = c.next {
			list = append(list, c)
		}
	}
	return list
}

// run closes silent connections until stop is closed.
func (w *wheel) run(stop <-chan struct{}) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			for _, c := range w.expired(int32(time.Since(w.start) / tick)) {
				c.Close(hal.CauseKeepAlive)
			}
		case <-stop:
			return
		}
	}
}

// seconds rounds up to ticks.
func seconds(d time.Duration) int32 {
	const longest = 1 << 30
	n := max(d, 0) / tick
	if d > n*tick {
		n++
	}
	return int32(min(n, longest))
}
