// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openalink/iot/store"
)

var checkCases = []testCase{
	{"Table", testCheckTable},
	{"ConflictLeavesNothing", testConflictLeavesNothing},
	{"SeesBatchesBefore", testCheckSeesBatchesBefore},
	{"RevisionsRise", testRevisionsRise},
	{"OneWinnerOfMany", testOneWinnerOfMany},
	{"Counter", testCounter},
	{"AllOrNothing", testAllOrNothing},
}

func testCheckTable(t *testing.T, e store.Engine) {
	put(t, e, "old", "1")
	stale := get(t, e, "old").Revision
	put(t, e, "old", "2")
	present := get(t, e, "old").Revision
	tests := []struct {
		name     string
		key      string
		revision uint64
		want     error
	}{
		{"present and right", "old", present, nil},
		{"present and stale", "old", stale, store.ErrConflict},
		{"present and in the future", "old", present + 1000, store.ErrConflict},
		{"present, wanted absent", "old", 0, store.ErrConflict},
		{"absent and right", "new", 0, nil},
		{"absent, wanted present", "new", present, store.ErrConflict},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b store.Batch
			b.Check([]byte(test.key), test.revision)
			b.Append("checked", "d", milli(1), nil)
			if err := store.Commit(t.Context(), e, &b); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func testConflictLeavesNothing(t *testing.T, e store.Engine) {
	put(t, e, "k", "before")
	before := get(t, e, "k")
	var b store.Batch
	b.Check([]byte("k"), before.Revision) // holds
	b.Check([]byte("absent"), 7)          // does not
	b.Put([]byte("k"), []byte("after"))
	b.Put([]byte("new"), []byte("after"))
	b.Append("s", "d", milli(1), []byte("after"))
	if err := store.Commit(t.Context(), e, &b); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	if got := get(t, e, "k"); string(got.Value) != "before" || got.Revision != before.Revision {
		t.Errorf("k is %q at revision %d, want %q at %d", got.Value, got.Revision, before.Value, before.Revision)
	}
	if _, err := e.Get(t.Context(), []byte("new")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("new: got %v, want ErrNotFound", err)
	}
	if got := readAll(t, e, "s", 0); len(got) != 0 {
		t.Errorf("the stream has %d records, want none", len(got))
	}
}

// testCheckSeesBatchesBefore submits without waiting, so that an engine that
// groups commits has all batches in one group.
func testCheckSeesBatchesBefore(t *testing.T, e store.Engine) {
	steps := []struct {
		name     string
		revision uint64
		write    func(b *store.Batch)
		want     error
	}{
		{"create", 0, func(b *store.Batch) { b.Put([]byte("k"), []byte("1")) }, nil},
		{"create again", 0, func(b *store.Batch) { b.Put([]byte("k"), []byte("2")) }, store.ErrConflict},
		{"of no such revision", 1 << 40, func(b *store.Batch) { b.Put([]byte("k"), []byte("3")) }, store.ErrConflict},
		{"delete, unchecked", 1, func(b *store.Batch) { b.Checks = nil; b.Delete([]byte("k")) }, nil},
		{"create after delete", 0, func(b *store.Batch) { b.Put([]byte("k"), []byte("4")) }, nil},
	}
	results := make(chan error, len(steps))
	for _, step := range steps {
		var b store.Batch
		b.Check([]byte("k"), step.revision)
		step.write(&b)
		if err := e.Submit(t.Context(), &b, func(err error) { results <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range steps {
		if err := <-results; !errors.Is(err, step.want) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
	}
	if got := get(t, e, "k"); string(got.Value) != "4" {
		t.Errorf("got %q, want the last", got.Value)
	}
}

func testRevisionsRise(t *testing.T, e store.Engine) {
	var last uint64
	for i := range 20 {
		if i%3 == 2 {
			var b store.Batch
			b.Delete([]byte("k"))
			commit(t, e, &b)
		}
		put(t, e, "k", strconv.Itoa(i))
		revision := get(t, e, "k").Revision
		if revision <= last {
			t.Fatalf("revision %d after %d", revision, last)
		}
		last = revision
	}
	for entry, err := range e.Range(t.Context(), nil, nil) {
		if err != nil || entry.Revision != last {
			t.Errorf("Range: revision %d, want %d as from Get; error %v", entry.Revision, last, err)
		}
	}
}

func testOneWinnerOfMany(t *testing.T, e store.Engine) {
	put(t, e, "k", "start")
	revision := get(t, e, "k").Revision
	var winners atomic.Int32
	var winner atomic.Value
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			name := "writer " + strconv.Itoa(i)
			var b store.Batch
			b.Check([]byte("k"), revision)
			b.Put([]byte("k"), []byte(name))
			switch err := store.Commit(t.Context(), e, &b); {
			case err == nil:
				winners.Add(1)
				winner.Store(name)
			case !errors.Is(err, store.ErrConflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := winners.Load(); n != 1 {
		t.Fatalf("%d winners, want 1", n)
	}
	if got := get(t, e, "k"); string(got.Value) != winner.Load() {
		t.Errorf("the value is of %q, the winner is %q", got.Value, winner.Load())
	}
}

// testCounter adds with compare-and-set from many sides.
func testCounter(t *testing.T, e store.Engine) {
	const writers, each = 8, 20
	put(t, e, "n", "0")
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				err := increment(t, e)
				for errors.Is(err, store.ErrConflict) {
					err = increment(t, e)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if got := string(get(t, e, "n").Value); got != strconv.Itoa(writers*each) {
		t.Errorf("counted to %s, want %d", got, writers*each)
	}
}

func increment(t *testing.T, e store.Engine) error {
	entry, err := e.Get(t.Context(), []byte("n"))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(entry.Value))
	if err != nil {
		return err
	}
	var b store.Batch
	b.Check([]byte("n"), entry.Revision)
	b.Put([]byte("n"), strconv.AppendInt(nil, int64(n)+1, 10))
	return store.Commit(t.Context(), e, &b)
}

// testAllOrNothing has batches of which half conflict and looks for parts.
func testAllOrNothing(t *testing.T, e store.Engine) {
	const writers, each = 8, 50
	type outcome struct{ name, err string }
	outcomes := make(chan outcome, writers*each)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				name := fmt.Sprintf("%d.%d", w, i)
				var b store.Batch
				b.Check([]byte("gate"), uint64(i%2)) // 1 never holds: there is no gate
				b.Put([]byte("a/"+name), []byte(name))
				b.Put([]byte("b/"+name), []byte(name))
				b.Append("s", name, milli(int64(i)), []byte(name))
				b.Append("t", name, milli(int64(i)), []byte(name))
				outcomes <- outcome{name, fmt.Sprint(store.Commit(t.Context(), e, &b))}
			}
		})
	}
	all.Wait()
	close(outcomes)
	parts := make(map[string]int)
	for entry, err := range e.Range(t.Context(), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		parts[string(entry.Value)]++
	}
	for _, stream := range []string{"s", "t"} {
		for _, r := range readAll(t, e, stream, 0) {
			parts[r.Value]++
		}
	}
	for o := range outcomes {
		want := 4
		if o.err != "<nil>" {
			want = 0
		}
		if parts[o.name] != want {
			t.Errorf("batch %s with result %s has %d parts, want %d", o.name, o.err, parts[o.name], want)
		}
	}
}
