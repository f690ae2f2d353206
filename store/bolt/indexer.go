// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"sync"

	bbolt "go.etcd.io/bbolt"
)

// indexer builds the index of complete segments, away from the commits. What it
// holds is one small entry for each complete segment without index.
type indexer struct {
	engine *Engine
	wake   chan struct{} // of capacity 1
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu   sync.Mutex
	todo []segment
}

func newIndexer(e *Engine) *indexer {
	return &indexer{engine: e, wake: make(chan struct{}, 1)}
}

func (x *indexer) start() {
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	x.ended.Go(func() { x.run(ctx) })
}

func (x *indexer) stop() {
	x.cancel()
	x.ended.Wait()
}

// add has the segments indexed, in their order.
func (x *indexer) add(segs []segment) {
	if len(segs) == 0 {
		return
	}
	x.mu.Lock()
	x.todo = append(x.todo, segs...)
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

func (x *indexer) take() (segment, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.todo) == 0 {
		return segment{}, false
	}
	seg := x.todo[0]
	x.todo = x.todo[1:]
	return seg, true
}

func (x *indexer) run(ctx context.Context) {
	for {
		for seg, ok := x.take(); ok; seg, ok = x.take() {
			x.index(ctx, seg)
		}
		select {
		case <-x.wake:
		case <-ctx.Done():
			return
		}
	}
}

// index builds the index of seg and has it committed with a group. A segment
// without index is still read, by scanning.
func (x *indexer) index(ctx context.Context, seg segment) {
	b := newIndexBuilder(seg.first)
	err := x.engine.view(ctx, func(tx *bbolt.Tx) error { return b.read(tx, seg) })
	if err == nil && len(b.rows) > 0 {
		index, known := b.encode(), b.known.encode()
		err = x.engine.do(ctx, func(tx *bbolt.Tx) error { return putIndex(tx, seg, index, known) })
	}
	if err != nil && x.engine.ready(ctx) == nil {
		x.engine.log.Error("segment has no index", "stream", seg.stream, "first", seg.first, "error", err)
	}
}

// read adds all records of seg; none when it was trimmed.
func (b *indexBuilder) read(tx *bbolt.Tx, seg segment) error {
	bucket := tx.Bucket(seg.bucket())
	if bucket == nil {
		return nil
	}
	c := bucket.Cursor()
	for k, _ := c.First(); k != nil && k[0] != indexMark; k, _ = c.Next() {
		offset, milli, key, err := parseRecordKey(k)
		if err != nil {
			return err
		}
		b.add(offset, milli, key)
	}
	return nil
}

func putIndex(tx *bbolt.Tx, seg segment, index, known []byte) error {
	b := tx.Bucket(seg.bucket())
	if b == nil {
		return nil // trimmed meanwhile
	}
	b.FillPercent = 1
	if err := b.Put([]byte{indexMark}, index); err != nil {
		return err
	}
	return tx.Bucket(bucketSegments).Put(seg.id(), known)
}
