// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"sync"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
)

// item is one thing to commit: a batch, or a task of the engine's own.
type item struct {
	batch *store.Batch
	task  func(*bbolt.Tx) error // runs on the committer; its error is the group's
	done  func(error)
	err   error // why the batch is not part of its group
}

// queue holds what waits for the next group. It is bounded: add blocks.
type queue struct {
	wake chan struct{} // of capacity 1: look again, committer

	mu     sync.Mutex
	items  []item
	ops    int           // operations in items, at least one for each
	cost   int           // ops, and one more for each 4 KiB
	limit  int           // of cost
	room   chan struct{} // closed when cost falls; nil while nobody waits
	quorum int           // so many operations do not wait for the pace
	closed bool
}

func newQueue(limit int) *queue {
	return &queue{wake: make(chan struct{}, 1), limit: limit, quorum: 1}
}

// add appends it. It blocks while the queue is full, until ctx ends or the queue
// is closed.
func (q *queue) add(ctx context.Context, it item, ops, cost int) error {
	q.mu.Lock()
	for q.cost >= q.limit && !q.closed {
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		q.mu.Lock()
	}
	defer q.mu.Unlock()
	if q.closed {
		return store.ErrClosed
	}
	before := q.prompt()
	q.items = append(q.items, it)
	q.ops += ops
	q.cost += cost
	if len(q.items) == 1 || q.prompt() != before {
		q.signal()
	}
	return nil
}

// prompt reports whether what waits need not wait for the pace.
func (q *queue) prompt() bool {
	return q.ops >= min(q.quorum, readyOps) || q.closed
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// await returns when a group may start: there is something to commit, and it is
// earliest, or it is prompt. It returns false when the queue is closed and empty.
func (q *queue) await(timer *time.Timer, earliest time.Time) bool {
	for {
		q.mu.Lock()
		empty, prompt, closed := len(q.items) == 0, q.prompt(), q.closed
		q.mu.Unlock()
		if empty {
			if closed {
				return false
			}
			<-q.wake
			continue
		}
		d := time.Until(earliest)
		if prompt || d <= 0 {
			return true
		}
		timer.Reset(d)
		select {
		case <-timer.C:
		case <-q.wake:
			timer.Stop()
		}
	}
}

// take returns all items and the operations in them, and leaves an empty queue
// over the memory of spare.
func (q *queue) take(spare []item) (items []item, ops int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, ops = q.items, q.ops
	q.items, q.ops, q.cost = spare[:0], 0, 0
	q.release()
	return items, ops
}

func (q *queue) release() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

// committed notes that a group of n operations is written. Writers that wait for
// their own commits come back now, and those who came meanwhile wait already: once
// so many operations are there, waiting longer gains nothing.
func (q *queue) committed(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.quorum = n + q.ops
}

// close refuses new items. What is in the queue stays to be committed.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.release()
	q.signal()
}
