// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"sync"
	"time"
)

// Stats counts what an Engine did since Open.
type Stats struct {
	Groups     uint64        // transactions; Batches/Groups is the size of a group
	Batches    uint64        // batches taken, those with a conflict included
	Writes     uint64        // puts and deletes that reached the file, the last of a key in a group
	Appends    uint64        // log records
	CommitTime time.Duration // spent in transactions
	Size       int64         // bytes of the file in use or free for use, without the part it grew ahead
}

type stats struct {
	mu  sync.Mutex
	sum Stats
}

// add counts the group the writer has just written.
func (s *stats) add(w *writer, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Groups += w.counts.Groups
	s.sum.Batches += w.counts.Batches
	s.sum.Writes += w.counts.Writes
	s.sum.Appends += w.counts.Appends
	s.sum.CommitTime += took
	s.sum.Size = w.counts.Size
}

// Stats returns the counters.
func (e *Engine) Stats() Stats {
	e.stats.mu.Lock()
	defer e.stats.mu.Unlock()
	return e.stats.sum
}
