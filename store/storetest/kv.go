// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/store"
)

var kvCases = []testCase{
	{"GetOfNothing", testGetOfNothing},
	{"GetOfWhatWasPut", testGetOfWhatWasPut},
	{"EntryBelongsToCaller", testEntryBelongsToCaller},
	{"WritesInOrder", testWritesInOrder},
	{"DeleteOfNothing", testDeleteOfNothing},
	{"RangeBounds", testRangeBounds},
	{"RangeOfMany", testRangeOfMany},
	{"RangeBodyMayWrite", testRangeBodyMayWrite},
	{"ReadsEndWithContext", testReadsEndWithContext},
}

func testGetOfNothing(t *testing.T, e store.Engine) {
	put(t, e, "b", "1")
	for _, key := range []string{"", "a", "b\x00", "c", strings.Repeat("k", store.MaxKey)} {
		if _, err := e.Get(t.Context(), []byte(key)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get %.10q: got %v, want ErrNotFound", key, err)
		}
	}
}

func testGetOfWhatWasPut(t *testing.T, e store.Engine) {
	keys := []string{"a", "\x00", "\xff\xff", "a/b\x00c", strings.Repeat("k", store.MaxKey)}
	values := []string{"", "v", "\x00", strings.Repeat("x", 100<<10)}
	for _, key := range keys {
		for _, value := range values {
			put(t, e, key, value)
			got := get(t, e, key)
			if string(got.Key) != key || string(got.Value) != value {
				t.Errorf("put %.10q = %.10q: got %.10q = %.10q", key, value, got.Key, got.Value)
			}
			if got.Revision < 1 {
				t.Errorf("revision of %.10q is %d, want at least 1", key, got.Revision)
			}
		}
	}
}

func testEntryBelongsToCaller(t *testing.T, e store.Engine) {
	put(t, e, "key", "value")
	entry := get(t, e, "key")
	scribble(entry.Key)
	scribble(entry.Value)
	if got := get(t, e, "key"); string(got.Value) != "value" || string(got.Key) != "key" {
		t.Errorf("after the caller wrote into its entry: got %q = %q", got.Key, got.Value)
	}
}

func testWritesInOrder(t *testing.T, e store.Engine) {
	var b store.Batch
	b.Put([]byte("kept"), []byte("1"))
	b.Delete([]byte("kept"))
	b.Put([]byte("kept"), []byte("2"))
	b.Put([]byte("gone"), []byte("1"))
	b.Delete([]byte("gone"))
	commit(t, e, &b)
	if got := get(t, e, "kept"); string(got.Value) != "2" {
		t.Errorf("put, delete, put: got %q, want the last", got.Value)
	}
	if _, err := e.Get(t.Context(), []byte("gone")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("put, delete: got %v, want ErrNotFound", err)
	}
}

func testDeleteOfNothing(t *testing.T, e store.Engine) {
	var b store.Batch
	b.Delete([]byte("nothing"))
	commit(t, e, &b)
}

func testRangeBounds(t *testing.T, e store.Engine) {
	for _, key := range []string{"b", "a", "c", "a\x00", "ab", "\xff"} {
		put(t, e, key, "value of "+key)
	}
	tests := []struct {
		name     string
		from, to []byte
		want     []string
	}{
		{"all", nil, nil, []string{"a", "a\x00", "ab", "b", "c", "\xff"}},
		{"from is included", []byte("ab"), nil, []string{"ab", "b", "c", "\xff"}},
		{"from need not exist", []byte("aa"), nil, []string{"ab", "b", "c", "\xff"}},
		{"to is excluded", nil, []byte("b"), []string{"a", "a\x00", "ab"}},
		{"a prefix", []byte("a"), []byte("b"), []string{"a", "a\x00", "ab"}},
		{"one key", []byte("a"), []byte("a\x00"), []string{"a"}},
		{"empty range", []byte("b"), []byte("b"), nil},
		{"reverse range", []byte("c"), []byte("a"), nil},
		{"to is empty, not nil", nil, []byte{}, nil},
		{"beyond the end", []byte("\xff\xff"), nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for entry, err := range e.Range(t.Context(), test.from, test.to) {
				if err != nil {
					t.Fatal(err)
				}
				if want := "value of " + string(entry.Key); string(entry.Value) != want || entry.Revision < 1 {
					t.Errorf("%q = %q, revision %d", entry.Key, entry.Value, entry.Revision)
				}
				got = append(got, string(entry.Key))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

// testRangeOfMany walks more than any page or chunk of an engine holds.
func testRangeOfMany(t *testing.T, e store.Engine) {
	const n = 3000
	for _, part := range [][]int{rand.Perm(n)[:n/2], rand.Perm(n)} {
		var b store.Batch
		for _, i := range part {
			b.Put(fmt.Appendf(nil, "key %05d", i), bytes.Repeat([]byte{byte(i)}, 100+i%300))
		}
		commit(t, e, &b)
	}
	i := 0
	for entry, err := range e.Range(t.Context(), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte{byte(i)}, 100+i%300)
		if key := fmt.Sprintf("key %05d", i); string(entry.Key) != key || !bytes.Equal(entry.Value, want) {
			t.Fatalf("entry %d is %q with %d bytes", i, entry.Key, len(entry.Value))
		}
		i++
	}
	if i != n {
		t.Errorf("got %d entries, want %d", i, n)
	}
}

func testRangeBodyMayWrite(t *testing.T, e store.Engine) {
	const n = 40
	for i := range n {
		put(t, e, fmt.Sprintf("k%02d", i), "1")
	}
	seen := 0
	for entry, err := range e.Range(t.Context(), []byte("k"), []byte("l")) {
		if err != nil {
			t.Fatal(err)
		}
		key := string(entry.Key)
		var b store.Batch
		b.Delete([]byte(key))
		b.Put([]byte("x"+key), []byte("2"))
		commit(t, e, &b)
		get(t, e, "x"+key)
		seen++
	}
	if seen != n {
		t.Errorf("saw %d entries, want %d", seen, n)
	}
	for range e.Range(t.Context(), nil, nil) {
		break // must leave nothing behind
	}
	put(t, e, "after", "1")
}

func testReadsEndWithContext(t *testing.T, e store.Engine) {
	put(t, e, "k", "v")
	var b store.Batch
	b.Append("s", "d", milli(1), nil)
	commit(t, e, &b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range readErrors(ctx, e) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
}

// readErrors calls every reading method once and returns what went wrong.
func readErrors(ctx context.Context, e store.Engine) map[string]error {
	errs := make(map[string]error)
	_, errs["Get"] = e.Get(ctx, []byte("k"))
	errs["Range"] = nil
	for _, err := range e.Range(ctx, nil, nil) {
		errs["Range"] = err
	}
	errs["Read"] = nil
	for _, err := range e.Read(ctx, "s", 0) {
		errs["Read"] = err
	}
	errs["ReadKey"] = nil
	for _, err := range e.ReadKey(ctx, "s", "d", 0, milli(0), milli(1000)) {
		errs["ReadKey"] = err
	}
	errs["Trim"] = e.Trim(ctx, "s", milli(1))
	return errs
}

func scribble(b []byte) {
	for i := range b {
		b[i] = '!'
	}
}
