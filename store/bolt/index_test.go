// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

func offsets(t interface{ Fatal(...any) }, index []byte, first uint64, key string) []uint64 {
	deltas, err := bolt.Lookup(index, key)
	if err != nil {
		t.Fatal(err)
	}
	var found []uint64
	for offset, rest, ok := bolt.NextOffset(first, deltas); ok; offset, rest, ok = bolt.NextOffset(offset, rest) {
		found = append(found, offset)
	}
	return found
}

func TestIndexFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64Range(1, 1<<62).Draw(t, "first")
		keys := rapid.SliceOfN(rapid.StringMatching(`[a-d]{1,4}`), 0, 300).Draw(t, "keys")
		index := bolt.BuildIndex(first, keys)
		for _, key := range append(slices.Clone(keys), "", "a", "cc", "zz") {
			var want []uint64
			for i, k := range keys {
				if k == key {
					want = append(want, first+uint64(i))
				}
			}
			if diff := cmp.Diff(want, offsets(t, index, first, key)); diff != "" {
				t.Fatalf("offsets of %q (-want +got):\n%s", key, diff)
			}
		}
	})
}

// Complete segments get their index without being asked, after a restart too,
// and it agrees with what a scan finds.
func TestSegmentsAreIndexed(t *testing.T) {
	dir := t.TempDir()
	small := bolt.WithSegments(bolt.Options{}, 50, 1<<20)
	large := bolt.Options{}
	e := openAt(large)(t, dir).(*bolt.Engine)
	appendRecords(t, e, 1030)
	want := recordsOf(t, e, "d3")
	if all, indexed := e.Segments("s"); all != 1 || indexed != 0 {
		t.Errorf("%d segments, %d with index; want one tail", all, indexed)
	}
	closeNow(t, e)

	e = openAt(small)(t, dir).(*bolt.Engine) // the tail is complete by its measure
	appendRecords(t, e, 220)
	e.WaitIndexed()
	if all, indexed := e.Segments("s"); all != 6 || indexed != 5 {
		t.Errorf("%d segments, %d with index; want 6, all but the tail", all, indexed)
	}
	got := recordsOf(t, e, "d3")
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Errorf("offsets by scan and by index (-scan +index):\n%s", diff)
	}
	if len(got) != 125 {
		t.Errorf("%d records, want 125", len(got))
	}
}

// ReadKey over more indexed segments than one read transaction visits is Read,
// filtered.
func TestReadKeyByIndex(t *testing.T) {
	e := open(t, bolt.WithSegments(bolt.Options{Pace: -1}, 10, 1<<20))
	const n, keys = 2507, 7
	var b store.Batch
	for i := range n {
		b.Append("s", fmt.Sprintf("d%d", i%keys), time.UnixMilli(int64(i)), nil)
	}
	if err := store.Commit(t.Context(), e, &b); err != nil {
		t.Fatal(err)
	}
	e.WaitIndexed()
	if all, indexed := e.Segments("s"); all != 251 || indexed != 250 {
		t.Fatalf("%d segments, %d with index; want 251, all but the tail", all, indexed)
	}
	check := func(key, from, since, until int) {
		t.Helper()
		var want, got []uint64
		for i := range n {
			if i%keys == key && i+1 >= from && i >= since && i < until {
				want = append(want, uint64(i+1))
			}
		}
		for r, err := range e.ReadKey(t.Context(), "s", fmt.Sprintf("d%d", key), uint64(from), time.UnixMilli(int64(since)), time.UnixMilli(int64(until))) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Offset)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("d%d from %d, times %d to %d (-want +got):\n%s", key, from, since, until, diff)
		}
	}
	for key := range keys {
		for _, from := range []int{0, 1, 77, 640, 641, 1000, n, n + 1} {
			check(key, from, 0, n)
			check(key, from, 500, 600)
			check(key, from, 1270, 2505)
		}
	}
}

// Trim takes whole segments away, and their room is used again.
func TestTrimMakesRoom(t *testing.T) {
	e := open(t, bolt.WithSegments(bolt.Options{}, 100, 1<<20))
	var size int64
	for round := range 20 {
		appendRecords(t, e, 1000)
		if err := e.Trim(t.Context(), "s", time.UnixMilli(1<<40)); err != nil {
			t.Fatal(err)
		}
		if all, _ := e.Segments("s"); all > 1 {
			t.Fatalf("%d segments are left", all)
		}
		if round == 5 {
			size = e.Stats().Size
		}
	}
	// A reader that is open during a commit costs some pages, once. Fourteen rounds
	// that made no room would take ten times as much.
	if now := e.Stats().Size; now > size*3 {
		t.Errorf("the file went from %d to %d bytes while the stream stayed the same", size, now)
	}
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}

// One record with a clock of the far future does not keep the others.
func TestTrimPassesOver(t *testing.T) {
	e := open(t, bolt.WithSegments(bolt.Options{}, 10, 1<<20))
	var b store.Batch
	b.Append("s", "d", time.UnixMilli(1<<41), nil)
	if err := store.Commit(t.Context(), e, &b); err != nil {
		t.Fatal(err)
	}
	appendRecords(t, e, 99)
	if err := e.Trim(t.Context(), "s", time.UnixMilli(1<<40)); err != nil {
		t.Fatal(err)
	}
	if all, _ := e.Segments("s"); all != 1 {
		t.Errorf("%d segments are left, want the one with the young record", all)
	}
}

// A segment ends by its bytes, too.
func TestSegmentBytes(t *testing.T) {
	e := open(t, bolt.WithSegments(bolt.Options{}, 1000, 10000))
	for range 10 {
		var b store.Batch
		b.Append("s", "d", time.UnixMilli(1), make([]byte, 6000))
		if err := store.Commit(t.Context(), e, &b); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := e.Segments("s"); all != 5 {
		t.Errorf("%d segments, want 5", all)
	}
}

func appendRecords(t *testing.T, e store.Engine, n int) {
	t.Helper()
	var b store.Batch
	for i := range n {
		b.Append("s", "d"+string(rune('0'+i%10)), time.UnixMilli(int64(i)), []byte("value"))
	}
	if err := store.Commit(t.Context(), e, &b); err != nil {
		t.Fatal(err)
	}
}

func recordsOf(t *testing.T, e store.Engine, key string) []uint64 {
	t.Helper()
	var found []uint64
	for r, err := range e.ReadKey(t.Context(), "s", key, 0, time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, r.Offset)
	}
	return found
}

func closeNow(t *testing.T, e *bolt.Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
