// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	iot "github.com/openalink/iot"
)

// traceBuffer is how many entries a slow reader of a trace may be behind; older
// ones are dropped.
const traceBuffer = 256

// traces hands log entries to those who watch a device live.
type traces struct {
	watchers atomic.Int32
	mu       sync.Mutex
	byDevice map[iot.DeviceID]map[chan LogEntry]struct{}
}

// publish never blocks.
func (t *traces) publish(e LogEntry) {
	if t.watchers.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.byDevice[e.Device] {
		select {
		case c <- e:
		default:
		}
	}
}

func (t *traces) watch(id iot.DeviceID) (c chan LogEntry, stop func()) {
	c = make(chan LogEntry, traceBuffer)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byDevice == nil {
		t.byDevice = make(map[iot.DeviceID]map[chan LogEntry]struct{})
	}
	if t.byDevice[id] == nil {
		t.byDevice[id] = make(map[chan LogEntry]struct{})
	}
	t.byDevice[id][c] = struct{}{}
	t.watchers.Add(1)
	return c, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.byDevice[id], c)
		if len(t.byDevice[id]) == 0 {
			delete(t.byDevice, id)
		}
		t.watchers.Add(-1)
	}
}

// Trace yields the log entries of a device as they are made, until ctx ends or
// the hub closes: online debugging. A reader that falls behind misses entries.
// The watch begins with the call, not with the first turn of the loop; whoever
// calls Trace must run the loop.
func (h *Hub) Trace(ctx context.Context, id iot.DeviceID) iter.Seq[LogEntry] {
	c, stop := h.traces.watch(id)
	return func(yield func(LogEntry) bool) {
		defer stop()
		for {
			select {
			case e := <-c:
				if !yield(e) {
					return
				}
			case <-ctx.Done():
				return
			case <-h.closing:
				return
			}
		}
	}
}

// observed reports whether successes of the message path are to be logged one by
// one.
func (h *Hub) observed() bool { return h.ownSink || h.traces.watchers.Load() > 0 }

// observe hands on an entry that the default sink derives instead of storing.
func (h *Hub) observe(e LogEntry) {
	if h.ownSink {
		h.sink.Log(e)
	}
	h.traces.publish(e)
}
