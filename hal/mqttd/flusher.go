// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"sync"
	"time"
)

// lateAfter is how long a read loop may keep bytes back while it parses, or
// while the platform makes it wait.
const lateAfter = 5 * time.Millisecond

// flusher writes for connections whose read loop is not at work. Many share
// one.
type flusher struct {
	wake chan struct{}

	mu          sync.Mutex
	ready, late []*conn
}

func newFlusher() *flusher { return &flusher{wake: make(chan struct{}, 1)} }

// add asks for a flush of c.
func (f *flusher) add(c *conn) {
	f.mu.Lock()
	f.ready = append(f.ready, c)
	first := len(f.ready) == 1
	f.mu.Unlock()
	if first {
		f.poke()
	}
}

// addLate asks for a flush of c unless its read loop comes first.
func (f *flusher) addLate(c *conn) {
	f.mu.Lock()
	f.late = append(f.late, c)
	first := len(f.late) == 1
	f.mu.Unlock()
	if first {
		f.poke()
	}
}

func (f *flusher) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run works until stop is closed.
func (f *flusher) run(stop <-chan struct{}) {
	var batch, late []*conn
	var timer <-chan time.Time
	for {
		select {
		case <-f.wake:
			batch = f.take(&f.ready, batch)
			flushAll(batch)
			if timer == nil && f.hasLate() {
				timer = time.After(lateAfter)
			}
		case <-timer:
			timer = nil
			late = f.take(&f.late, late)
			flushAll(late)
		case <-stop:
			return
		}
	}
}

// take swaps the list for an empty one.
func (f *flusher) take(list *[]*conn, empty []*conn) []*conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := *list
	*list = empty[:0]
	return taken
}

func (f *flusher) hasLate() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.late) > 0
}

func flushAll(list []*conn) {
	for i, c := range list {
		c.flushShared()
		list[i] = nil
	}
}

// flushShared is flush as the flusher calls it.
func (c *conn) flushShared() {
	defer c.recovered("flusher")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued, c.late = false, false
	c.flush()
}
