// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
)

// commitGroups is the committer: it takes what waits, writes it and passes it on
// to the deliverer, until the queue is closed and empty.
func (e *Engine) commitGroups(delivery chan<- []item, spare <-chan []item) {
	defer close(delivery)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var earliest time.Time
	for e.queue.await(timer, earliest) {
		var free []item
		select {
		case free = <-spare:
		default:
		}
		group, ops := e.queue.take(free)
		began := time.Now()
		e.commitGroup(group)
		took := time.Since(began)
		e.stats.add(e.writer, took)
		// From the end: the callers of this group need a moment to come back, and a group
		// without them would be half as full.
		earliest = began.Add(took + e.options.Pace)
		e.queue.committed(ops)
		delivery <- group
	}
}

// commitGroup writes items in one transaction. Afterwards each has its err.
func (e *Engine) commitGroup(items []item) {
	err := e.writeGroup(items)
	if err != nil {
		for i := range items {
			items[i].err = err
		}
		return
	}
	e.indexer.add(e.writer.sealed)
}

func (e *Engine) writeGroup(items []item) error {
	if err := e.failed.Load(); err != nil {
		return *err
	}
	tx, err := e.db.Begin(true)
	if err != nil {
		return e.fail(err)
	}
	if err := e.writer.apply(tx, items); err != nil {
		_ = tx.Rollback() // the cause is err
		return e.fail(err)
	}
	if err := e.commit(tx); err != nil {
		return e.fail(err)
	}
	return nil
}

// deliver is the deliverer: it calls back group by group and gives their memory
// to the committer again.
func (e *Engine) deliver(delivery <-chan []item, spare chan<- []item) {
	for group := range delivery {
		for i := range group {
			group[i].done(group[i].err)
		}
		clear(group)
		select {
		case spare <- group:
		default:
		}
	}
}

// writer turns the items of a group into changes of a transaction. Only the
// committer uses it. When a transaction is not committed, the writer is void.
type writer struct {
	revision uint64
	streams  map[string]*stream
	options  Options

	// Of the group at hand:
	overlay overlay
	sealed  []segment // complete with this group
	counts  Stats
	key     []byte // scratch
}

// apply writes the items to tx in their order, and sets err of those whose
// checks do not hold. An error is the end of the transaction.
func (w *writer) apply(tx *bbolt.Tx, items []item) error {
	kv := tx.Bucket(bucketKV)
	w.overlay.reset(kv)
	w.sealed, w.counts = w.sealed[:0], Stats{Groups: 1}
	for _, s := range w.streams {
		s.bucket = nil
	}
	for i := range items {
		it := &items[i]
		if it.task != nil {
			if err := it.task(tx); err != nil {
				return err
			}
			continue
		}
		w.counts.Batches++
		if it.err = w.holds(it.batch); it.err != nil {
			continue
		}
		if err := w.batch(tx, it.batch); err != nil {
			return err
		}
	}
	w.counts.Writes = uint64(len(w.overlay.writes))
	w.counts.Size = tx.Size()
	return w.overlay.flush(kv, w.revision)
}

// holds returns nil when the checks of b hold after the batches before it.
func (w *writer) holds(b *store.Batch) error {
	for i := range b.Checks {
		revision, err := w.overlay.revision(b.Checks[i].Key)
		if err != nil {
			return err
		}
		if revision != b.Checks[i].Revision {
			return store.ErrConflict
		}
	}
	return nil
}

func (w *writer) batch(tx *bbolt.Tx, b *store.Batch) error {
	if len(b.Writes) > 0 {
		w.revision++
	}
	for i := range b.Writes {
		w.overlay.put(&b.Writes[i], w.revision)
	}
	for i := range b.Appends {
		if err := w.append(tx, &b.Appends[i]); err != nil {
			return err
		}
	}
	return nil
}
