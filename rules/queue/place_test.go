// SPDX-License-Identifier: Apache-2.0

package queue_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/store"
	"pgregory.net/rapid"
)

func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		next := rapid.Uint64Range(1, 1<<40).Draw(t, "next")
		done := []uint64{}
		for at := next; len(done) < rapid.IntRange(0, 20).Draw(t, "n"); {
			at += rapid.Uint64Range(1, 1000).Draw(t, "step")
			done = append(done, at)
		}
		n, d, _, err := queue.RecodePlace(queue.EncodePlace(next, done))
		if err != nil || n != next || !slices.Equal(d, done) {
			t.Fatalf("%d %v became %d %v, %v", next, done, n, d, err)
		}
	})
}

// FuzzPlace: stored bytes are a place that is written the same, or ErrFormat.
func FuzzPlace(f *testing.F) {
	f.Add(queue.EncodePlace(7, []uint64{9, 12}))
	f.Add([]byte{1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		next, done, again, err := queue.RecodePlace(b)
		if err != nil {
			if !errors.Is(err, store.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		n, d, _, err := queue.RecodePlace(again)
		if err != nil || n != next || !slices.Equal(d, done) {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
	})
}
