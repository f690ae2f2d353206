// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"encoding/binary"
	"math"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
)

// stream is the writer's view of a log: where it goes on, and its tail, the
// segment that is not complete.
type stream struct {
	name   string
	next   uint64        // offset of the next record
	first  uint64        // first offset of the tail
	count  int           // records of the tail; 0 while there is none
	bytes  int           // of their keys and values
	newest int64         // time among them
	bucket *bbolt.Bucket // of the tail in the transaction at hand, or nil
}

func (w *writer) stream(name string) *stream {
	s := w.streams[name]
	if s == nil {
		s = &stream{name: name, next: 1}
		w.streams[name] = s
	}
	return s
}

// append writes a to the tail of its stream.
func (w *writer) append(tx *bbolt.Tx, a *store.Append) error {
	s := w.stream(a.Stream)
	if s.bucket == nil {
		if err := s.open(tx); err != nil {
			return err
		}
	}
	milli := a.Time.UnixMilli()
	w.key = appendRecordKey(w.key[:0], s.next, milli, a.Key)
	if err := s.bucket.Put(w.key, a.Value); err != nil {
		return err
	}
	w.counts.Appends++
	s.next++
	s.count++
	s.bytes += len(w.key) + len(a.Value)
	s.newest = max(s.newest, milli)
	if s.count >= w.options.segmentRecords || s.bytes >= w.options.segmentBytes {
		w.sealed = append(w.sealed, segment{s.name, s.first})
		s.closeTail()
	}
	return nil
}

// open finds the bucket of the tail, or begins a tail.
func (s *stream) open(tx *bbolt.Tx) (err error) {
	if s.count > 0 {
		s.bucket = tx.Bucket(segment{s.name, s.first}.bucket())
		if s.bucket == nil {
			return errDamaged
		}
	} else {
		s.first, s.newest = s.next, math.MinInt64
		s.bucket, err = tx.CreateBucket(segment{s.name, s.first}.bucket())
		if err != nil {
			return err
		}
	}
	s.bucket.FillPercent = 1 // keys only ever come at the end
	return nil
}

func (s *stream) closeTail() { s.count, s.bytes, s.bucket = 0, 0, nil }

// drop removes the segment seg unless it has got a record meanwhile that is not
// older than limit, or is gone.
func (w *writer) drop(tx *bbolt.Tx, seg segment, limit int64) error {
	if tx.Bucket(seg.bucket()) == nil {
		return nil
	}
	s := w.stream(seg.stream)
	tail := s.count > 0 && s.first == seg.first
	known := span{newest: s.newest}
	if !tail {
		var err error
		if known, err = spanOf(tx, seg); err != nil {
			return err
		}
	}
	if known.newest >= limit {
		return nil
	}
	if tail {
		s.closeTail()
	}
	if err := tx.DeleteBucket(seg.bucket()); err != nil {
		return err
	}
	if err := tx.Bucket(bucketSegments).Delete(seg.id()); err != nil {
		return err
	}
	// With its last segment a stream would lose where it goes on.
	next := binary.BigEndian.AppendUint64([]byte{format}, s.next)
	return tx.Bucket(bucketStreams).Put([]byte(seg.stream), next)
}
