// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"encoding/binary"
	"math"

	bbolt "go.etcd.io/bbolt"
)

// load finds all streams and where they go on. It returns the complete segments
// that have no index.
func (w *writer) load(tx *bbolt.Tx) (todo []segment, err error) {
	if err := w.loadOffsets(tx.Bucket(bucketStreams)); err != nil {
		return nil, err
	}
	last := make(map[string]segment)
	spans := tx.Bucket(bucketSegments)
	c := tx.Cursor()
	for name, _ := c.Seek([]byte{segmentPrefix}); name != nil; name, _ = c.Next() {
		seg, ok := parseBucket(name)
		if !ok {
			continue
		}
		// Names are in order of stream and offset, so one without an index is the
		// tail unless another of its stream follows.
		if before, ok := last[seg.stream]; ok && spans.Get(before.id()) == nil {
			todo = append(todo, before)
		}
		last[seg.stream] = seg
	}
	for name, seg := range last {
		s := w.stream(name)
		if err := s.load(tx, seg); err != nil {
			return nil, err
		}
		if s.count >= w.options.segmentRecords || s.bytes >= w.options.segmentBytes {
			todo = append(todo, seg)
			s.closeTail()
		}
	}
	return todo, nil
}

func (w *writer) loadOffsets(streams *bbolt.Bucket) error {
	return streams.ForEach(func(name, stored []byte) error {
		if len(stored) == 0 || stored[0] != format {
			return errFormat("stream", stored)
		}
		if len(stored) < 9 {
			return errDamaged
		}
		w.stream(string(name)).next = binary.BigEndian.Uint64(stored[1:])
		return nil
	})
}

// load takes seg, the last segment of s, as its tail unless it is complete.
func (s *stream) load(tx *bbolt.Tx, seg segment) error {
	if stored := tx.Bucket(bucketSegments).Get(seg.id()); stored != nil {
		known, err := decodeSpan(stored)
		s.next = max(s.next, known.last+1)
		return err
	}
	b := tx.Bucket(seg.bucket())
	if b == nil {
		return errDamaged
	}
	s.first, s.newest = seg.first, math.MinInt64
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		offset, milli, _, err := parseRecordKey(k)
		if err != nil {
			return err
		}
		s.next = max(s.next, offset+1)
		s.newest = max(s.newest, milli)
		s.bytes += len(k) + len(v)
		s.count++
	}
	return nil
}
