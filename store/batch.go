// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// Batch is a set of changes that happen together or not at all: first all its
// checks, then its puts and deletes in order, then its appends in order. It is
// replayable: an engine may write it to a journal first. The zero Batch is
// empty and ready; Reset allows reuse without allocation.
//
// A Batch is not safe for concurrent use. It keeps the slices it is given.
type Batch struct {
	Checks  []Check
	Writes  []Write
	Appends []Append
}

// Check demands that Key has Revision when the batch is applied; 0 demands that
// the key does not exist. Batches before it in the same durable write count as
// applied.
type Check struct {
	Key      []byte
	Revision uint64
}

// Write is a put, or a delete when Delete is set. Deleting what is not there is
// no error.
type Write struct {
	Key, Value []byte
	Delete     bool
}

// Append adds a record to a stream. The stream's name is short and one of few:
// engines keep state per stream.
type Append struct {
	Stream string
	Key    string
	Time   time.Time
	Value  []byte
}

// Check adds a check.
func (b *Batch) Check(key []byte, revision uint64) {
	b.Checks = append(b.Checks, Check{key, revision})
}

// Put adds a write of value under key.
func (b *Batch) Put(key, value []byte) {
	b.Writes = append(b.Writes, Write{Key: key, Value: value})
}

// Delete adds the removal of key.
func (b *Batch) Delete(key []byte) {
	b.Writes = append(b.Writes, Write{Key: key, Delete: true})
}

// Append adds a record to stream.
func (b *Batch) Append(stream, key string, t time.Time, value []byte) {
	b.Appends = append(b.Appends, Append{stream, key, t, value})
}

// IsEmpty reports whether the batch does nothing.
func (b *Batch) IsEmpty() bool {
	return len(b.Checks)+len(b.Writes)+len(b.Appends) == 0
}

// Reset empties the batch and keeps its memory, without references to what it
// held.
func (b *Batch) Reset() {
	clear(b.Checks)
	clear(b.Writes)
	clear(b.Appends)
	b.Checks, b.Writes, b.Appends = b.Checks[:0], b.Writes[:0], b.Appends[:0]
}

// Commit submits b and waits until it is durable. When ctx ends first the batch
// may still be committed, and b must not be reused.
func Commit(ctx context.Context, c Committer, b *Batch) error {
	result := make(chan error, 1)
	if err := c.Submit(ctx, b, func(err error) { result <- err }); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
