// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"sync"
	"time"

	"github.com/openalink/iot/hal"
)

// closeWait bounds how long Close waits for connections to end by themselves.
const closeWait = 5 * time.Second

// Shutdown refuses new connections, closes those there are with cause
// hal.CauseServerStop, and returns when everything accepted is durable, or with
// ctx's error when it ends first; the hub is closed in either case. Listeners
// should be shut down first.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.once.Do(func() { h.closeErr = h.shutdown(ctx) })
	return h.closeErr
}

// Close is Shutdown with a bound of its own. It is idempotent and leaves no
// goroutine behind.
func (h *Hub) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	return h.Shutdown(ctx)
}

func (h *Hub) shutdown(ctx context.Context) error {
	h.draining.Store(true)
	h.entering.Lock()   // whoever did not see it is through now
	h.entering.Unlock() //nolint:staticcheck // nothing is guarded but the moment
	close(h.closing)
	h.calls.Close(ErrClosed)
	h.each(func(d *device) {
		d.mu.Lock()
		s := d.sess
		d.mu.Unlock()
		if s != nil {
			s.end(hal.CauseServerStop)
			s.link.Close(hal.CauseServerStop)
		}
	})
	h.timers.stop()
	h.translating.Wait()
	h.ota.end()
	err := h.flush(ctx)
	close(h.stop)
	h.workers.Wait()
	h.encoding.Wait()
	h.closeScripts()
	close(h.stopped)
	if s, ok := h.sink.(*storeSink); ok {
		s.close()
	}
	if err == nil {
		err = h.saveIDs(ctx)
	}
	h.cancel()
	return err
}

// flush waits until everything queued so far is durable.
func (h *Hub) flush(ctx context.Context) error {
	h.settled(ctx)
	var all sync.WaitGroup
	all.Add(len(h.shards))
	for _, sh := range h.shards {
		// An event behind those that wait, committed behind them.
		sh.post(func(b *batch) {
			sh.post(func(b *batch) { b.then(func(error) { all.Done() }) })
		})
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// timers are the callbacks a hub has waiting. After stop none fires.
type timers struct {
	mu      sync.Mutex
	stopped bool
	next    int
	all     map[int]*time.Timer
}

func (h *Hub) after(wait time.Duration, f func()) {
	t := &h.timers
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if t.all == nil {
		t.all = make(map[int]*time.Timer)
	}
	t.next++
	key := t.next
	t.all[key] = time.AfterFunc(wait, func() {
		t.mu.Lock()
		_, live := t.all[key]
		delete(t.all, key)
		t.mu.Unlock()
		if live {
			f()
		}
	})
}

func (t *timers) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	for _, timer := range t.all {
		timer.Stop()
	}
	clear(t.all)
}
