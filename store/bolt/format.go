// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/openalink/iot/store"
)

// format is the format of the file, and the first byte of every stored value.
const format = 1

// indexMark is the key of the index in the bucket of a segment. It is after all
// offsets: those are below 1<<63.
const indexMark = 0xff

const segmentPrefix = 's'

var (
	bucketMeta     = []byte("meta")
	bucketKV       = []byte("kv")
	bucketStreams  = []byte("streams")
	bucketSegments = []byte("segments")
	keyFormat      = []byte("format")
)

var errDamaged = errors.New("bolt: stored bytes are damaged")

// errFormat says why stored, which does not begin with format, is not read.
func errFormat(what string, stored []byte) error {
	if len(stored) == 0 {
		return fmt.Errorf("bolt: %w: empty %s", store.ErrFormat, what)
	}
	return fmt.Errorf("bolt: %w: %s of format %d, this program reads %d", store.ErrFormat, what, stored[0], format)
}

// segment names a part of a stream by its first offset.
type segment struct {
	stream string
	first  uint64
}

// id is the segment's key in the bucket of segments.
func (s segment) id() []byte { return s.appendID(make([]byte, 0, len(s.stream)+9)) }

// bucket is the name of the segment's own bucket.
func (s segment) bucket() []byte {
	return s.appendID(append(make([]byte, 0, len(s.stream)+10), segmentPrefix))
}

func (s segment) appendID(dst []byte) []byte {
	dst = append(dst, byte(len(s.stream)))
	dst = append(dst, s.stream...)
	return binary.BigEndian.AppendUint64(dst, s.first)
}

// parseBucket is the reverse of segment.bucket. It reports false for all other
// names.
func parseBucket(name []byte) (segment, bool) {
	if len(name) < 2 || name[0] != segmentPrefix || len(name) != 10+int(name[1]) {
		return segment{}, false
	}
	end := len(name) - 8
	return segment{string(name[2:end]), binary.BigEndian.Uint64(name[end:])}, true
}

// span is what the bucket of segments knows of a complete segment.
type span struct {
	last           uint64 // offset
	oldest, newest int64  // epoch milliseconds
}

func (s span) encode() []byte {
	b := append(make([]byte, 0, 25), format)
	b = binary.BigEndian.AppendUint64(b, s.last)
	b = binary.BigEndian.AppendUint64(b, uint64(s.oldest))
	return binary.BigEndian.AppendUint64(b, uint64(s.newest))
}

func decodeSpan(b []byte) (span, error) {
	if len(b) == 0 || b[0] != format {
		return span{}, errFormat("segment", b)
	}
	if len(b) < 25 {
		return span{}, errDamaged
	}
	return span{
		last:   binary.BigEndian.Uint64(b[1:]),
		oldest: int64(binary.BigEndian.Uint64(b[9:])),
		newest: int64(binary.BigEndian.Uint64(b[17:])),
	}, nil
}

// appendRecordKey appends the key under which a record is stored.
func appendRecordKey(dst []byte, offset uint64, milli int64, key string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, offset)
	dst = binary.BigEndian.AppendUint64(dst, uint64(milli))
	dst = append(dst, format)
	return append(dst, key...)
}

// parseRecordKey splits the key of a record. key stays in the memory of stored.
func parseRecordKey(stored []byte) (offset uint64, milli int64, key []byte, err error) {
	if len(stored) < 17 {
		return 0, 0, nil, errDamaged
	}
	if stored[16] != format {
		return 0, 0, nil, errFormat("record", stored[16:])
	}
	return binary.BigEndian.Uint64(stored), int64(binary.BigEndian.Uint64(stored[8:])), stored[17:], nil
}

// ceilMilli returns t in epoch milliseconds, rounded up: a stored time is before
// t exactly when it is less.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

// endMilli is ceilMilli, with no end for the zero time.
func endMilli(t time.Time) int64 {
	if t.IsZero() {
		return math.MaxInt64
	}
	return ceilMilli(t)
}
