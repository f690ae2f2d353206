// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"iter"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
)

// Read implements store.Log. It reads up to 512 records, or 64 KiB, at a time.
func (e *Engine) Read(ctx context.Context, stream string, from uint64) iter.Seq2[store.Record, error] {
	return e.walk(ctx, &query{stream: stream, from: from}, (*query).load)
}

// ReadKey implements store.Log. Of each complete segment in the time range it
// touches the index and the records it yields; the tail of the stream it scans.
func (e *Engine) ReadKey(ctx context.Context, stream, key string, from uint64, since, until time.Time) iter.Seq2[store.Record, error] {
	return e.walk(ctx, &query{
		stream: stream,
		key:    key,
		from:   from,
		since:  ceilMilli(since),
		until:  endMilli(until),
	}, (*query).loadKey)
}

// walk yields what load finds, one read transaction after another. load reports
// whether there is more.
func (e *Engine) walk(ctx context.Context, start *query, load func(*query, *bbolt.Tx) (bool, error)) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		q := *start // the sequence may be walked again
		names := make(map[string]string)
		for more := true; more; {
			q.found.reset()
			err := e.view(ctx, func(tx *bbolt.Tx) (err error) {
				more, err = load(&q, tx)
				return err
			})
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if !q.found.yieldRecords(names, yield) {
				return
			}
		}
	}
}

// yieldRecords yields the rows. names saves making the same key string again.
func (c *chunk) yieldRecords(names map[string]string, yield func(store.Record, error) bool) bool {
	for i := range c.rows {
		r := &c.rows[i]
		key, value := c.at(i)
		name, ok := names[string(key)]
		if !ok {
			if len(names) >= 4096 {
				clear(names)
			}
			name = string(key)
			names[name] = name
		}
		if !yield(store.Record{Offset: r.number, Key: name, Time: time.UnixMilli(r.milli).UTC(), Value: value}, nil) {
			return false
		}
	}
	return true
}

// Trim implements store.Log. It removes segments all of whose records are older
// than before, each in its own transaction beside the batches of others.
func (e *Engine) Trim(ctx context.Context, stream string, before time.Time) error {
	limit := ceilMilli(before)
	for from := uint64(0); ; {
		var seg segment
		var found bool
		err := e.view(ctx, func(tx *bbolt.Tx) (err error) {
			seg, found, err = oldSegment(tx, stream, from, limit)
			return err
		})
		if err != nil || !found {
			return err
		}
		if err := e.do(ctx, func(tx *bbolt.Tx) error { return e.writer.drop(tx, seg, limit) }); err != nil {
			return err
		}
		from = seg.first + 1
	}
}

// oldSegment returns the first segment, of those that begin at from or later,
// all of whose records are older than limit.
func oldSegment(tx *bbolt.Tx, stream string, from uint64, limit int64) (segment, bool, error) {
	c := segments(tx, stream)
	for seg, ok := c.seek(from); ok; seg, ok = c.next() {
		known, err := spanOf(tx, seg)
		if err != nil {
			return segment{}, false, err
		}
		if known.newest < limit {
			return seg, true, nil
		}
	}
	return segment{}, false, nil
}
