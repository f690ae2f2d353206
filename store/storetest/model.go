// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openalink/iot/store"
)

// kvModel is what a KV should hold.
type kvModel struct {
	values    map[string]string
	revisions map[string]uint64 // the last one seen, of deleted keys too
}

var (
	modelKey   = rapid.StringMatching(`[a-c]{1,3}`)
	modelValue = rapid.StringN(0, -1, 40)
)

// step commits a random batch and checks every key.
func (m *kvModel) step(t *testing.T, rt *rapid.T, e store.Engine) {
	before := maps.Clone(m.values)
	var b store.Batch
	conflict := m.check(rt, &b)
	var touched []string
	for range rapid.IntRange(0, 6).Draw(rt, "writes") {
		key := modelKey.Draw(rt, "key")
		touched = append(touched, key)
		if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
			b.Delete([]byte(key))
			delete(m.values, key)
			continue
		}
		value := modelValue.Draw(rt, "value")
		b.Put([]byte(key), []byte(value))
		m.values[key] = value
	}
	err := store.Commit(t.Context(), e, &b)
	switch {
	case conflict:
		if !errors.Is(err, store.ErrConflict) {
			rt.Fatalf("got %v, want ErrConflict", err)
		}
		m.values, touched = before, nil
	case err != nil:
		rt.Fatal(err)
	}
	m.compare(t, rt, e, touched)
}

// check adds checks and reports whether one does not hold.
func (m *kvModel) check(rt *rapid.T, b *store.Batch) (conflict bool) {
	for range rapid.IntRange(0, 2).Draw(rt, "checks") {
		key := modelKey.Draw(rt, "checked key")
		var present uint64
		if _, ok := m.values[key]; ok {
			present = m.revisions[key]
		}
		revision := rapid.SampledFrom([]uint64{present, present, present, 0, m.revisions[key]}).Draw(rt, "revision")
		b.Check([]byte(key), revision)
		conflict = conflict || revision != present
	}
	return conflict
}

// compare walks all of e. Revisions of touched keys must have risen, others must
// be the same.
func (m *kvModel) compare(t *testing.T, rt *rapid.T, e store.Engine, touched []string) {
	got := make(map[string]string)
	for entry, err := range e.Range(t.Context(), nil, nil) {
		if err != nil {
			rt.Fatal(err)
		}
		key := string(entry.Key)
		got[key] = string(entry.Value)
		old := m.revisions[key]
		if slices.Contains(touched, key) {
			if entry.Revision <= old {
				rt.Fatalf("%q was written, its revision went from %d to %d", key, old, entry.Revision)
			}
		} else if entry.Revision != old {
			rt.Fatalf("%q was not written, its revision went from %d to %d", key, old, entry.Revision)
		}
		m.revisions[key] = entry.Revision
		one, err := e.Get(t.Context(), entry.Key)
		if err != nil || one.Revision != entry.Revision || string(one.Value) != got[key] {
			rt.Fatalf("Get %q: %q, revision %d, error %v; Range has %q, %d", key, one.Value, one.Revision, err, got[key], entry.Revision)
		}
	}
	if diff := cmp.Diff(m.values, got); diff != "" {
		rt.Fatalf("entries (-want +got):\n%s", diff)
	}
}

func testModelKV(t *testing.T, open func(t *testing.T) store.Engine) {
	rapid.Check(t, func(rt *rapid.T) {
		e := open(t)
		defer closeEngine(t, e)
		m := &kvModel{values: make(map[string]string), revisions: make(map[string]uint64)}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			m.step(t, rt, e)
		}
	})
}

// logModel is what a stream should hold.
type logModel struct {
	records []record // without offsets
	trimmed int64    // records older than this may be gone
	now     int64
}

func (m *logModel) step(t *testing.T, rt *rapid.T, e store.Engine) {
	switch rapid.SampledFrom([]string{"append", "append", "append", "trim", "read"}).Draw(rt, "step") {
	case "append":
		m.append(t, rt, e)
	case "trim":
		before := rapid.Int64Range(0, m.now+5).Draw(rt, "before")
		if err := e.Trim(t.Context(), "s", milli(before)); err != nil {
			rt.Fatal(err)
		}
		m.trimmed = max(m.trimmed, before)
	case "read":
		m.compare(t, rt, e)
	}
}

func (m *logModel) append(t *testing.T, rt *rapid.T, e store.Engine) {
	var b store.Batch
	for range rapid.IntRange(1, 40).Draw(rt, "records") {
		m.now = max(0, m.now+rapid.Int64Range(-2, 4).Draw(rt, "tick"))
		r := record{Key: modelKey.Draw(rt, "key"), Milli: m.now, Value: modelValue.Draw(rt, "value")}
		b.Append("s", r.Key, milli(r.Milli), []byte(r.Value))
		m.records = append(m.records, r)
	}
	b.Append("other", "a", milli(m.now), nil)
	if err := store.Commit(t.Context(), e, &b); err != nil {
		rt.Fatal(err)
	}
}

// compare demands that all records that must be there are, in order, and that
// ReadKey is Read filtered.
func (m *logModel) compare(t *testing.T, rt *rapid.T, e store.Engine) {
	all := readAll(t, e, "s", 0)
	i := 0
	for _, want := range m.records {
		if i < len(all) {
			want.Offset = all[i].Offset
			if all[i] == want {
				i++
				continue
			}
		}
		if want.Milli >= m.trimmed {
			rt.Fatalf("record %+v is missing", want)
		}
	}
	if i != len(all) {
		rt.Fatalf("record %+v is not one of those appended, or out of order", all[i])
	}
	key := modelKey.Draw(rt, "read key")
	since := rapid.Int64Range(-1, m.now+2).Draw(rt, "since")
	until := rapid.Int64Range(-1, m.now+2).Draw(rt, "until")
	from := uint64(rapid.IntRange(0, len(m.records)+2).Draw(rt, "from"))
	end := time.Time{}
	if until >= 0 {
		end = milli(until)
	}
	var want []record
	for _, r := range all {
		if r.Key == key && r.Offset >= from && r.Milli >= since && (until < 0 || r.Milli < until) {
			want = append(want, r)
		}
	}
	if diff := cmp.Diff(want, readKey(t, e, "s", key, from, milli(since), end)); diff != "" {
		rt.Fatalf("ReadKey and Read, filtered (-want +got):\n%s", diff)
	}
}

func testModelLog(t *testing.T, open func(t *testing.T) store.Engine) {
	rapid.Check(t, func(rt *rapid.T) {
		e := open(t)
		defer closeEngine(t, e)
		m := new(logModel)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			m.step(t, rt, e)
		}
		m.compare(t, rt, e)
	})
}
