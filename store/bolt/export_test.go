// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"

	bbolt "go.etcd.io/bbolt"
)

// WithSegments sets the size of segments.
func WithSegments(o Options, records, bytes int) Options {
	o.segmentRecords, o.segmentBytes = records, bytes
	return o
}

// OnCommit has every commit done by f. Call it before the first batch.
func (e *Engine) OnCommit(f func(*bbolt.Tx) error) { e.commit = f }

// WaitIndexed returns when every complete segment has its index.
func (e *Engine) WaitIndexed() {
	for {
		// A task of ours is committed after the one the indexer is waiting for, if
		// it has submitted that.
		if err := e.do(context.Background(), func(*bbolt.Tx) error { return nil }); err != nil {
			return
		}
		unindexed := 0
		_ = e.db.View(func(tx *bbolt.Tx) error {
			w := &writer{streams: make(map[string]*stream), options: e.options}
			todo, err := w.load(tx)
			unindexed = len(todo)
			return err
		})
		if unindexed == 0 {
			return
		}
	}
}

// Segments returns how many segments the stream has, and how many with index.
func (e *Engine) Segments(stream string) (all, indexed int) {
	_ = e.db.View(func(tx *bbolt.Tx) error {
		c := segments(tx, stream)
		for seg, ok := c.seek(0); ok; seg, ok = c.next() {
			all++
			if tx.Bucket(bucketSegments).Get(seg.id()) != nil {
				indexed++
			}
		}
		return nil
	})
	return all, indexed
}

// Check has bbolt look at every page of the file. It must not be while others
// commit, so it waits for the indexer first.
func (e *Engine) Check() error {
	e.WaitIndexed()
	return e.do(context.Background(), func(tx *bbolt.Tx) error {
		var errs []error
		for err := range tx.Check() {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// What the fuzz and property tests reach.
var (
	Lookup         = lookup
	NextOffset     = nextOffset
	DecodeValue    = decodeValue
	ParseRecordKey = parseRecordKey
)

// DecodeSegment reads a bucket name and a line of the bucket of segments.
func DecodeSegment(name, line []byte) (first uint64, ok bool, err error) {
	seg, ok := parseBucket(name)
	_, err = decodeSpan(line)
	return seg.first, ok, err
}

// BuildIndex makes the index of records with the given keys at offsets first,
// first+1 and so on.
func BuildIndex(first uint64, keys []string) []byte {
	b := newIndexBuilder(first)
	for i, key := range keys {
		b.add(first+uint64(i), 0, []byte(key))
	}
	return b.encode()
}
