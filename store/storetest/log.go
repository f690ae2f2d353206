// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/store"
)

var logCases = []testCase{
	{"ReadOfNothing", testReadOfNothing},
	{"ReadInOrder", testReadInOrder},
	{"ReadFrom", testReadFrom},
	{"Values", testRecordValues},
	{"BodyMayWrite", testLogBodyMayWrite},
	{"ReadKeyBounds", testReadKeyBounds},
	{"ReadKeyOfMany", testReadKeyOfMany},
	{"Trim", testTrim},
	{"TrimAll", testTrimAll},
	{"TrimWhileAppending", testTrimWhileAppending},
	{"End", testEnd},
}

// record is a store.Record that lives on, and compares.
type record struct {
	Offset uint64
	Key    string
	Milli  int64
	Value  string
}

// milli is the time ms milliseconds after a point all tests share.
func milli(ms int64) time.Time { return time.UnixMilli(1700000000000 + ms) }

func collect(t testing.TB, seq iter.Seq2[store.Record, error]) []record {
	t.Helper()
	var all []record
	for r, err := range seq {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		all = append(all, record{r.Offset, r.Key, r.Time.UnixMilli() - milli(0).UnixMilli(), string(r.Value)})
	}
	return all
}

// readAll returns the records of stream from offset from on, and checks that
// their offsets rise.
func readAll(t testing.TB, e store.Engine, stream string, from uint64) []record {
	t.Helper()
	all := collect(t, e.Read(t.Context(), stream, from))
	last := max(from, 1) - 1
	for _, r := range all {
		if r.Offset <= last {
			t.Fatalf("offset %d after %d", r.Offset, last)
		}
		last = r.Offset
	}
	return all
}

func readKey(t testing.TB, e store.Engine, stream, key string, from uint64, since, until time.Time) []record {
	t.Helper()
	return collect(t, e.ReadKey(t.Context(), stream, key, from, since, until))
}

// appendMany appends n records of keys "d0" to "d(keys-1)" in turn, at
// milliseconds first, first+1 and so on.
func appendMany(t testing.TB, e store.Engine, stream string, n, keys int, first int64) {
	t.Helper()
	for done := 0; done < n; {
		var b store.Batch
		for ; done < n && len(b.Appends) < 1000; done++ {
			b.Append(stream, fmt.Sprintf("d%d", done%keys), milli(first+int64(done)), fmt.Appendf(nil, "value %d", done))
		}
		commit(t, e, &b)
	}
}

func testReadOfNothing(t *testing.T, e store.Engine) {
	if got := readAll(t, e, "nothing", 0); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if got := readKey(t, e, "nothing", "d", 0, time.Time{}, time.Time{}); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if err := e.Trim(t.Context(), "nothing", milli(0)); err != nil {
		t.Error(err)
	}
}

func testReadInOrder(t *testing.T, e store.Engine) {
	appendMany(t, e, "s", 2500, 3, 0)
	appendMany(t, e, "t", 10, 3, 0)
	appendMany(t, e, "s", 10, 3, 2500)
	all := readAll(t, e, "s", 0)
	if len(all) != 2510 {
		t.Fatalf("%d records, want 2510", len(all))
	}
	for i, r := range all[:2500] {
		if r.Key != fmt.Sprintf("d%d", i%3) || r.Milli != int64(i) || r.Value != fmt.Sprintf("value %d", i) {
			t.Fatalf("record %d is %+v", i, r)
		}
	}
	if got := len(readAll(t, e, "t", 0)); got != 10 {
		t.Errorf("the other stream has %d records, want 10", got)
	}
}

func testReadFrom(t *testing.T, e store.Engine) {
	appendMany(t, e, "s", 700, 3, 0)
	all := readAll(t, e, "s", 0)
	for _, i := range []int{0, 1, 8, 350, 699} {
		if diff := cmp.Diff(all[i:], readAll(t, e, "s", all[i].Offset)); diff != "" {
			t.Errorf("from record %d (-want +got):\n%s", i, diff)
		}
	}
	if got := readAll(t, e, "s", all[699].Offset+1); len(got) != 0 {
		t.Errorf("beyond the end: %v", got)
	}
	seq := e.Read(t.Context(), "s", 0)
	if diff := cmp.Diff(collect(t, seq), collect(t, seq)); diff != "" {
		t.Errorf("the same walk again (-first +second):\n%s", diff)
	}
}

func testRecordValues(t *testing.T, e store.Engine) {
	want := []record{
		{1, "a1/" + strings.Repeat("n", 300), 0, ""},
		{2, "\x00\xff", -1700000000000, "\x00"},
		{3, "d", 5, strings.Repeat("x", 200<<10)},
		{4, "d", 4, "times may step back"},
	}
	for _, r := range want {
		var b store.Batch
		b.Append("s", r.Key, milli(r.Milli).Add(999*time.Microsecond), []byte(r.Value))
		commit(t, e, &b)
	}
	got := readAll(t, e, "s", 0)
	for i := range got {
		got[i].Offset = uint64(i) + 1
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func testLogBodyMayWrite(t *testing.T, e store.Engine) {
	appendMany(t, e, "s", 30, 1, 0)
	seen := 0
	for r, err := range e.ReadKey(t.Context(), "s", "d0", 0, milli(0), milli(30)) {
		if err != nil {
			t.Fatal(err)
		}
		var b store.Batch
		b.Append("s", "d0", milli(1000), []byte("from the body"))
		b.Put([]byte("cursor"), fmt.Append(nil, r.Offset))
		commit(t, e, &b)
		get(t, e, "cursor")
		seen++
	}
	if seen != 30 {
		t.Errorf("saw %d records, want 30", seen)
	}
	for range e.Read(t.Context(), "s", 0) {
		break // must leave nothing behind
	}
	if got := len(readAll(t, e, "s", 0)); got != 60 {
		t.Errorf("%d records, want 60", got)
	}
}

func testReadKeyBounds(t *testing.T, e store.Engine) {
	appendMany(t, e, "s", 20, 2, 0) // d0 at 0, 2, 4 ...; d1 at 1, 3, 5 ...
	all := readAll(t, e, "s", 0)
	tests := []struct {
		name         string
		key          string
		from         uint64
		since, until time.Time
		first, n     int // of the milliseconds expected
	}{
		{"all", "d1", 0, time.Time{}, time.Time{}, 1, 10},
		{"unknown", "d", 0, time.Time{}, time.Time{}, 0, 0},
		{"since is included", "d1", 0, milli(5), time.Time{}, 5, 8},
		{"since between milliseconds", "d1", 0, milli(5).Add(1), time.Time{}, 7, 7},
		{"until is excluded", "d1", 0, time.Time{}, milli(5), 1, 2},
		{"until between milliseconds", "d1", 0, time.Time{}, milli(5).Add(1), 1, 3},
		{"both", "d0", 0, milli(4), milli(9), 4, 3},
		{"nothing between", "d0", 0, milli(5), milli(6), 0, 0},
		{"from an own record", "d0", all[4].Offset, time.Time{}, time.Time{}, 4, 8},
		{"from another's record", "d0", all[5].Offset, time.Time{}, time.Time{}, 6, 7},
		{"from beyond the end", "d0", all[19].Offset + 1, time.Time{}, time.Time{}, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var want []int64
			for i := range test.n {
				want = append(want, int64(test.first+2*i))
			}
			var got []int64
			for _, r := range readKey(t, e, "s", test.key, test.from, test.since, test.until) {
				if r.Key != test.key {
					t.Errorf("a record of %q", r.Key)
				}
				got = append(got, r.Milli)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("times (-want +got):\n%s", diff)
			}
		})
	}
}

// testReadKeyOfMany reads from a stream long enough for any engine's index.
func testReadKeyOfMany(t *testing.T, e store.Engine) {
	const n, keys = 30000, 7
	appendMany(t, e, "s", n, keys, 0)
	all := readAll(t, e, "s", 0)
	if len(all) != n {
		t.Fatalf("%d records, want %d", len(all), n)
	}
	for _, bounds := range [][2]int64{{0, n}, {9000, 9100}, {8000, 25000}, {29990, n + 5}} {
		for k := range keys {
			key := fmt.Sprintf("d%d", k)
			var want []record
			for _, r := range all {
				if r.Key == key && r.Milli >= bounds[0] && r.Milli < bounds[1] {
					want = append(want, r)
				}
			}
			got := readKey(t, e, "s", key, 0, milli(bounds[0]), milli(bounds[1]))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s in %v (-want +got):\n%s", key, bounds, diff)
			}
		}
	}
}

func testTrim(t *testing.T, e store.Engine) {
	const n = 30000
	appendMany(t, e, "s", n, 5, 0)
	appendMany(t, e, "t", 10, 5, 0)
	all := readAll(t, e, "s", 0)
	for _, before := range []int64{0, 100, 20000, 20000, 29000} {
		if err := e.Trim(t.Context(), "s", milli(before)); err != nil {
			t.Fatal(err)
		}
		got := readAll(t, e, "s", 0)
		if len(got) < n-int(before) || len(got) > n {
			t.Fatalf("before %d: %d records are left of %d", before, len(got), n)
		}
		if diff := cmp.Diff(all[n-len(got):], got); diff != "" {
			t.Fatalf("before %d (-want +got):\n%s", before, diff)
		}
	}
	if got := len(readAll(t, e, "t", 0)); got != 10 {
		t.Errorf("the other stream has %d records, want 10", got)
	}
}

func testTrimAll(t *testing.T, e store.Engine) {
	appendMany(t, e, "s", 100, 5, 0)
	last := readAll(t, e, "s", 0)[99].Offset
	if err := e.Trim(t.Context(), "s", milli(1000)); err != nil {
		t.Fatal(err)
	}
	appendMany(t, e, "s", 3, 5, 1000)
	all := readAll(t, e, "s", last+1)
	if len(all) != 3 {
		t.Fatalf("%d records after offset %d, want 3", len(all), last)
	}
	if err := e.Trim(t.Context(), "s", milli(500)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, readAll(t, e, "s", last+1)); diff != "" {
		t.Errorf("newer records after Trim (-want +got):\n%s", diff)
	}
	if got := readKey(t, e, "s", "d1", last+1, milli(1000), time.Time{}); len(got) != 1 {
		t.Errorf("got %v, want one record", got)
	}
	if _, err := e.Get(t.Context(), []byte("s")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("streams show among the keys: %v", err)
	}
}

// testTrimWhileAppending trims all there is, again and again, while newer
// records come.
func testTrimWhileAppending(t *testing.T, e store.Engine) {
	const n = 400
	var last atomic.Int64 // milliseconds of the newest committed record
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		for i := int64(1); i <= n; i++ {
			var b store.Batch
			b.Append("s", "d", milli(i), nil)
			if err := store.Commit(t.Context(), e, &b); err != nil {
				t.Error(err)
				break
			}
			last.Store(i)
		}
		last.Store(n)
	})
	for last.Load() < n {
		old := last.Load()
		if err := e.Trim(t.Context(), "s", milli(old+1)); err != nil {
			t.Fatal(err)
		}
		young := make(map[int64]bool)
		upTo := last.Load()
		for _, r := range readAll(t, e, "s", 0) {
			young[r.Milli] = true
		}
		for i := old + 1; i <= upTo; i++ {
			if !young[i] {
				t.Fatalf("Trim before %d removed %d", old+1, i)
			}
		}
	}
}

func testEnd(t *testing.T, e store.Engine) {
	end := func(stream string) uint64 {
		n, err := e.End(t.Context(), stream)
		if err != nil {
			t.Fatalf("end: %v", err)
		}
		return n
	}
	if n := end("none"); n != 1 {
		t.Errorf("a stream without records ends at %d", n)
	}
	last := uint64(0)
	for i := range 300 {
		from := end("a")
		var b store.Batch
		b.Append("a", "k", milli(int64(i)), []byte("v"))
		b.Append("ab", "k", milli(int64(i)), []byte("v"))
		commit(t, e, &b)
		all := readAll(t, e, "a", from)
		if len(all) != 1 || all[0].Offset <= last || end("a") <= all[0].Offset {
			t.Fatalf("from the end at %d on: %+v, and the end is %d", from, all, end("a"))
		}
		last = all[0].Offset
	}
	if err := e.Trim(t.Context(), "a", milli(1000)); err != nil {
		t.Fatalf("trim: %v", err)
	}
	if n := end("a"); n <= last {
		t.Errorf("after a trim the end fell to %d, it was above %d", n, last)
	}
}
