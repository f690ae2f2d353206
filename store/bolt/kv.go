// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"iter"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
)

// Get implements store.KV.
func (e *Engine) Get(ctx context.Context, key []byte) (store.Entry, error) {
	var entry store.Entry
	err := e.view(ctx, func(tx *bbolt.Tx) error {
		stored := tx.Bucket(bucketKV).Get(key)
		if stored == nil {
			return store.ErrNotFound
		}
		value, revision, err := decodeValue(stored)
		if err != nil {
			return err
		}
		entry = store.Entry{Key: bytes.Clone(key), Value: bytes.Clone(value), Revision: revision}
		return nil
	})
	return entry, err
}

// Range implements store.KV. It reads up to 512 entries, or 64 KiB, at a time;
// these are of one state.
func (e *Engine) Range(ctx context.Context, from, to []byte) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		var c chunk
		next := bytes.Clone(from)
		for {
			c.reset()
			err := e.view(ctx, func(tx *bbolt.Tx) error { return c.loadEntries(tx, next, to) })
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			if n := len(c.rows); n > 0 {
				last, _ := c.at(n - 1)
				next = append(append(next[:0], last...), 0) // the first key after it
			}
			if !c.yieldEntries(yield) || !c.full() {
				return
			}
		}
	}
}

// loadEntries adds entries with from <= key < to until the chunk is full.
func (c *chunk) loadEntries(tx *bbolt.Tx, from, to []byte) error {
	cursor := tx.Bucket(bucketKV).Cursor()
	for k, v := cursor.Seek(from); k != nil && !c.full(); k, v = cursor.Next() {
		if to != nil && bytes.Compare(k, to) >= 0 {
			return nil
		}
		value, revision, err := decodeValue(v)
		if err != nil {
			return err
		}
		c.add(k, value, revision, 0)
	}
	return nil
}

func (c *chunk) yieldEntries(yield func(store.Entry, error) bool) bool {
	for i := range c.rows {
		key, value := c.at(i)
		if !yield(store.Entry{Key: key, Value: value, Revision: c.rows[i].number}, nil) {
			return false
		}
	}
	return true
}
