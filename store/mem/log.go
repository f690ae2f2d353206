// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"context"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/openalink/iot/store"
)

// scanStep is how many records a read looks at before it lets writers in.
const scanStep = 4096

// stream is a log: its records by offset, and the last offset given out.
type stream struct {
	records []store.Record
	last    uint64
}

func recordSize(r *store.Record) int64 { return int64(len(r.Key) + len(r.Value) + overhead) }

// Read implements store.Log.
func (e *Engine) Read(ctx context.Context, stream string, from uint64) iter.Seq2[store.Record, error] {
	return e.walk(ctx, stream, from, func(*store.Record) bool { return true })
}

// ReadKey implements store.Log. It looks at every record from offset from on.
func (e *Engine) ReadKey(ctx context.Context, stream, key string, from uint64, since, until time.Time) iter.Seq2[store.Record, error] {
	return e.walk(ctx, stream, from, func(r *store.Record) bool {
		return r.Key == key && !r.Time.Before(since) && (until.IsZero() || r.Time.Before(until))
	})
}

func (e *Engine) walk(ctx context.Context, stream string, from uint64, match func(*store.Record) bool) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		var value []byte
		for next := from; ; {
			r, after, err := e.next(ctx, stream, next, match)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if after == next {
				return
			}
			next = after
			if r.Offset == 0 {
				continue
			}
			value = append(value[:0], r.Value...)
			r.Value = value
			if !yield(r, nil) {
				return
			}
		}
	}
}

// next looks from offset from on for a record that matches. It returns it, or
// none after scanStep records, and the offset to go on from; at the end of the
// stream that is from itself.
func (e *Engine) next(ctx context.Context, name string, from uint64, match func(*store.Record) bool) (store.Record, uint64, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, 0, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return store.Record{}, 0, store.ErrClosed
	}
	s := e.streams[name]
	if s == nil {
		return store.Record{}, from, nil
	}
	i := sort.Search(len(s.records), func(i int) bool { return s.records[i].Offset >= from })
	for end := min(i+scanStep, len(s.records)); i < end; i++ {
		r := &s.records[i]
		from = r.Offset + 1
		if match(r) {
			return *r, from, nil
		}
	}
	return store.Record{}, from, nil
}

// End implements store.Ender.
func (e *Engine) End(ctx context.Context, name string) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return 0, store.ErrClosed
	}
	if s := e.streams[name]; s != nil {
		return s.last + 1, nil
	}
	return 1, nil
}

// Trim implements store.Log. It removes every record that is older than before.
func (e *Engine) Trim(ctx context.Context, name string, before time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return store.ErrClosed
	}
	s := e.streams[name]
	if s == nil {
		return nil
	}
	s.records = slices.DeleteFunc(s.records, func(r store.Record) bool {
		old := r.Time.Before(before)
		if old {
			e.size -= recordSize(&r)
		}
		return old
	})
	if len(s.records) < cap(s.records)/4 {
		s.records = slices.Clone(s.records)
	}
	return nil
}
