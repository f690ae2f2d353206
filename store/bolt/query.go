// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"encoding/binary"
	"math"

	bbolt "go.etcd.io/bbolt"
)

// query is a walk over a stream and its position.
type query struct {
	stream, key  string
	from         uint64 // offset to go on from
	since, until int64  // epoch milliseconds, until excluded
	found        chunk
}

// segmentsPerView bounds how many segments one read transaction looks into.
const segmentsPerView = 64

// load adds the records from q.from on.
func (q *query) load(tx *bbolt.Tx) (more bool, err error) {
	c := segments(tx, q.stream)
	for seg, ok := c.seekHolder(q.from); ok; seg, ok = c.next() {
		if err := q.scan(tx, seg, func([]byte, int64) bool { return true }); err != nil {
			return false, err
		}
		if q.found.full() {
			return true, nil
		}
	}
	return false, nil
}

// loadKey adds the records of q.key and the time range from q.from on.
func (q *query) loadKey(tx *bbolt.Tx) (more bool, err error) {
	c := segments(tx, q.stream)
	visited := 0
	for seg, ok := c.seekHolder(q.from); ok; seg, ok = c.next() {
		if err := q.visit(tx, seg); err != nil {
			return false, err
		}
		if visited++; q.found.full() || visited == segmentsPerView {
			return true, nil
		}
	}
	return false, nil
}

func (q *query) visit(tx *bbolt.Tx, seg segment) error {
	stored := tx.Bucket(bucketSegments).Get(seg.id())
	if stored == nil {
		return q.scan(tx, seg, q.match)
	}
	known, err := decodeSpan(stored)
	if err != nil {
		return err
	}
	if known.newest >= q.since && known.oldest < q.until {
		if err := q.pick(tx, seg); err != nil {
			return err
		}
		if q.found.full() {
			return nil
		}
	}
	q.from = max(q.from, known.last+1)
	return nil
}

func (q *query) match(key []byte, milli int64) bool {
	return milli >= q.since && milli < q.until && string(key) == q.key
}

// scan looks at every record of seg.
func (q *query) scan(tx *bbolt.Tx, seg segment, match func(key []byte, milli int64) bool) error {
	b := tx.Bucket(seg.bucket())
	if b == nil {
		return errDamaged
	}
	c := b.Cursor()
	for k, v := c.Seek(binary.BigEndian.AppendUint64(nil, q.from)); k != nil && k[0] != indexMark && !q.found.full(); k, v = c.Next() {
		offset, milli, key, err := parseRecordKey(k)
		if err != nil {
			return err
		}
		q.from = offset + 1
		if match(key, milli) {
			q.found.add(key, v, offset, milli)
		}
	}
	return nil
}

// pick looks at the records of seg its index knows for q.key.
func (q *query) pick(tx *bbolt.Tx, seg segment) error {
	b := tx.Bucket(seg.bucket())
	if b == nil {
		return errDamaged
	}
	deltas, err := lookup(b.Get([]byte{indexMark}), q.key)
	if err != nil {
		return err
	}
	c := b.Cursor()
	var seek [8]byte
	for offset, rest, ok := nextOffset(seg.first, deltas); ok; offset, rest, ok = nextOffset(offset, rest) {
		if offset < q.from {
			continue
		}
		binary.BigEndian.PutUint64(seek[:], offset)
		k, v := c.Seek(seek[:])
		at, milli, key, err := parseRecordKey(k)
		if err != nil || at != offset {
			return errDamaged
		}
		q.from = offset + 1
		if q.match(key, milli) {
			q.found.add(key, v, offset, milli)
		}
		if q.found.full() {
			return nil
		}
	}
	return nil
}

// segmentCursor walks the segments of a stream in order.
type segmentCursor struct {
	c      *bbolt.Cursor
	stream string
}

func segments(tx *bbolt.Tx, stream string) segmentCursor { return segmentCursor{tx.Cursor(), stream} }

// seek goes to the first segment that begins at first or later.
func (s segmentCursor) seek(first uint64) (segment, bool) {
	name, _ := s.c.Seek(segment{s.stream, first}.bucket())
	return s.own(name)
}

// seekHolder goes to the segment that holds offset, if there is one, or to the
// first one after it.
func (s segmentCursor) seekHolder(offset uint64) (segment, bool) {
	name, _ := s.c.Seek(segment{s.stream, offset}.bucket())
	if seg, ok := s.own(name); ok && seg.first == offset {
		return seg, true
	}
	if name == nil {
		name, _ = s.c.Last()
	} else {
		name, _ = s.c.Prev()
	}
	if before, ok := s.own(name); ok {
		return before, true
	}
	return s.seek(offset)
}

func (s segmentCursor) next() (segment, bool) {
	name, _ := s.c.Next()
	return s.own(name)
}

func (s segmentCursor) own(name []byte) (segment, bool) {
	seg, ok := parseBucket(name)
	return seg, ok && seg.stream == s.stream
}

// spanOf returns what is known of seg; it scans seg when nobody wrote it down.
func spanOf(tx *bbolt.Tx, seg segment) (span, error) {
	if stored := tx.Bucket(bucketSegments).Get(seg.id()); stored != nil {
		return decodeSpan(stored)
	}
	b := tx.Bucket(seg.bucket())
	if b == nil {
		return span{}, errDamaged
	}
	known := emptySpan
	c := b.Cursor()
	for k, _ := c.First(); k != nil && k[0] != indexMark; k, _ = c.Next() {
		offset, milli, _, err := parseRecordKey(k)
		if err != nil {
			return span{}, err
		}
		known.add(offset, milli)
	}
	return known, nil
}

var emptySpan = span{oldest: math.MaxInt64, newest: math.MinInt64}

func (s *span) add(offset uint64, milli int64) {
	s.last = max(s.last, offset)
	s.oldest = min(s.oldest, milli)
	s.newest = max(s.newest, milli)
}
