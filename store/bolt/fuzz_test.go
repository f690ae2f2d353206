// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"testing"

	"github.com/openalink/iot/store/bolt"
)

// FuzzIndex feeds damaged indexes to the lookup.
func FuzzIndex(f *testing.F) {
	f.Add(bolt.BuildIndex(1, nil), "a")
	f.Add(bolt.BuildIndex(1, []string{"a", "b", "a", "c"}), "b")
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, "a")
	f.Fuzz(func(t *testing.T, index []byte, key string) {
		deltas, err := bolt.Lookup(index, key)
		if err != nil && deltas != nil {
			t.Error("offsets and an error")
		}
		n := 0
		for offset, rest, ok := bolt.NextOffset(1, deltas); ok; offset, rest, ok = bolt.NextOffset(offset, rest) {
			n++
		}
		if n > len(deltas) {
			t.Errorf("%d offsets in %d bytes", n, len(deltas))
		}
	})
}

// FuzzStored feeds damaged keys and values to the other decoders.
func FuzzStored(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x07value"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x01key"))
	f.Add([]byte("s\x01s\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		if value, revision, err := bolt.DecodeValue(stored); err != nil && (value != nil || revision != 0) {
			t.Error("a value and an error")
		}
		if _, _, key, err := bolt.ParseRecordKey(stored); err == nil && len(key) != len(stored)-17 {
			t.Errorf("a key of %d bytes in %d", len(key), len(stored))
		}
		if _, ok, _ := bolt.DecodeSegment(stored, stored); ok && len(stored) < 10 {
			t.Errorf("%q names a segment", stored)
		}
	})
}
