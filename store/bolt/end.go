// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"encoding/binary"
	"math"

	bbolt "go.etcd.io/bbolt"
)

// End implements store.Ender. It reads the last key of the stream.
func (e *Engine) End(ctx context.Context, stream string) (end uint64, err error) {
	err = e.view(ctx, func(tx *bbolt.Tx) error {
		end, err = endOf(tx, stream)
		return err
	})
	return end, err
}

// endOf looks at the last segment, and at what Trim wrote down when it dropped
// one that was the last.
func endOf(tx *bbolt.Tx, stream string) (uint64, error) {
	end := uint64(1)
	if stored := tx.Bucket(bucketStreams).Get([]byte(stream)); stored != nil {
		if stored[0] != format {
			return 0, errFormat("stream", stored)
		}
		if len(stored) < 9 {
			return 0, errDamaged
		}
		end = binary.BigEndian.Uint64(stored[1:])
	}
	seg, ok := segments(tx, stream).seekHolder(math.MaxInt64)
	if !ok {
		return end, nil
	}
	last, err := lastOf(tx, seg)
	return max(end, last+1), err
}

// lastOf returns the last offset of a segment.
func lastOf(tx *bbolt.Tx, seg segment) (uint64, error) {
	if stored := tx.Bucket(bucketSegments).Get(seg.id()); stored != nil {
		known, err := decodeSpan(stored)
		return known.last, err
	}
	b := tx.Bucket(seg.bucket())
	if b == nil {
		return 0, errDamaged
	}
	c := b.Cursor()
	k, _ := c.Last()
	if len(k) > 0 && k[0] == indexMark {
		k, _ = c.Prev()
	}
	if k == nil {
		return seg.first - 1, nil
	}
	offset, _, _, err := parseRecordKey(k)
	return offset, err
}
