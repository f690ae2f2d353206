// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"iter"
	"time"
)

// The errors engines return.
var (
	ErrNotFound = errors.New("store: not found")
	// ErrConflict means that a Check of the batch did not hold; nothing of the
	// batch was done.
	ErrConflict = errors.New("store: revision conflict")
	// ErrClosed means the engine was closed before the call could be served.
	ErrClosed = errors.New("store: closed")
	// ErrTooLarge means that a key or value is over the engine's limit.
	ErrTooLarge = errors.New("store: key or value is too large")
	// ErrEmpty means that a key or the name of a stream has no bytes.
	ErrEmpty = errors.New("store: empty name")
	// ErrFormat means that stored bytes are of a newer format than this program
	// reads, or of none it knows.
	ErrFormat = errors.New("store: unknown format")
)

// Bounds every engine keeps, in bytes. The shortest name has one byte.
const (
	MaxKey    = 1024 // keys, and the keys of log records
	MaxStream = 64   // names of streams
)

// Engine is what a platform is opened with: both kinds of state and the way to
// change them together.
type Engine interface {
	KV
	Log
	Ender
	Committer
}

// Entry is a stored value.
type Entry struct {
	Key, Value []byte
	// Revision rises with every write of the key, for as long as the store lives,
	// deletes included. It is at least 1.
	Revision uint64
}

// KV is an ordered map of bytes. Reads see every commit whose done was called
// with nil. It is safe for concurrent use.
type KV interface {
	// Get returns the value of key, or ErrNotFound. The entry belongs to the
	// caller.
	Get(ctx context.Context, key []byte) (Entry, error)
	// Range yields the entries with from <= key < to in key order; a nil to means
	// to the end. An entry is valid until the next one is asked for. The walk sees
	// a consistent state at least per entry, need not see one state throughout, and
	// holds no lock or transaction while the loop body runs, so the body may call
	// the store. It ends after the first error.
	Range(ctx context.Context, from, to []byte) iter.Seq2[Entry, error]
}

// Record is one entry of a stream.
type Record struct {
	// Offset is the place in the stream: it rises strictly, from 1 on, with gaps
	// allowed. Batch.Append ignores it, the engine assigns it.
	Offset uint64
	// Key groups the records of one thing, here always a device ("pk/dn").
	Key   string
	Time  time.Time // millisecond resolution
	Value []byte
}

// Log is a set of named append-only streams. A record becomes visible when the
// commit that appended it is done. It is safe for concurrent use.
type Log interface {
	// Read yields the records of stream whose offset is at least from, in order.
	// It ends at the present end of the stream. A record is valid until the next
	// one is asked for; the loop body may call the store.
	Read(ctx context.Context, stream string, from uint64) iter.Seq2[Record, error]
	// ReadKey is Read for the records of one key with since <= Time < until; a zero
	// until means without end. Within a key times may step back a little, as the
	// clock does: the walk is in offset order. It uses an index, which may lag
	// behind; the result does not.
	ReadKey(ctx context.Context, stream, key string, from uint64, since, until time.Time) iter.Seq2[Record, error]
	// Trim removes the records of stream older than before, oldest first. Records
	// may outlive it by a segment of the engine; none newer is removed.
	Trim(ctx context.Context, stream string, before time.Time) error
}

// Ender knows where streams end.
type Ender interface {
	// End returns an offset above that of every record of stream whose commit is
	// done, and at most that of the next one: a reader that begins there gets what
	// comes. It is at least 1, and never falls, also not by Trim.
	End(ctx context.Context, stream string) (uint64, error)
}

// Committer makes batches durable.
type Committer interface {
	// Submit queues a batch and returns. Batches of one goroutine are committed in
	// the order of their Submit calls; batches of different ones are grouped
	// into one durable write. Submit blocks while the queue is full, until ctx
	// ends or the engine closes.
	//
	// done is called exactly once unless Submit returned an error, in commit order
	// and from one goroutine at a time: nil means that the batch is durable as a
	// whole, any error that nothing of it was done. Errors are ErrConflict,
	// ErrTooLarge, ErrClosed or the engine's own. done must be quick, and may call
	// Submit only if it cannot block for long.
	//
	// The batch and all bytes in it belong to the engine until done is called.
	Submit(ctx context.Context, b *Batch, done func(error)) error
}
