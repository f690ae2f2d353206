// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"bytes"
	"context"
	"iter"

	"github.com/openalink/iot/store"
)

// Get implements store.KV.
func (e *Engine) Get(ctx context.Context, key []byte) (store.Entry, error) {
	if err := ctx.Err(); err != nil {
		return store.Entry{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return store.Entry{}, store.ErrClosed
	}
	n := e.keys.get(key)
	if n == nil {
		return store.Entry{}, store.ErrNotFound
	}
	return store.Entry{Key: bytes.Clone(n.key), Value: bytes.Clone(n.value), Revision: n.revision}, nil
}

// Range implements store.KV. It looks every entry up when it is asked for, so it
// sees what was written meanwhile.
func (e *Engine) Range(ctx context.Context, from, to []byte) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		var entry store.Entry
		next := bytes.Clone(from)
		for {
			more, err := e.load(ctx, &entry, next, to)
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			if !more {
				return
			}
			// The first key after entry.Key.
			next = append(append(next[:0], entry.Key...), 0)
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// load copies the first entry with from <= key < to into the memory of entry.
func (e *Engine) load(ctx context.Context, entry *store.Entry, from, to []byte) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return false, store.ErrClosed
	}
	n := e.keys.seek(from)
	if n == nil || to != nil && bytes.Compare(n.key, to) >= 0 {
		return false, nil
	}
	entry.Key = append(entry.Key[:0], n.key...)
	entry.Value = append(entry.Value[:0], n.value...)
	entry.Revision = n.revision
	return true, nil
}
