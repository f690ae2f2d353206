// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openalink/iot/store"
)

// TestDurable holds an engine that keeps its state in files to that promise.
// openAt opens the engine of directory dir, or a new one when dir is empty, and
// ends the test when it cannot. The engine is an io.Closer.
//
// It kills processes: it runs the test it is called from again in a child
// process, which commits until it is killed, and looks what is left. The calling
// test must therefore do nothing else before.
func TestDurable(t *testing.T, openAt func(t *testing.T, dir string) store.Engine) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashChild(t, openAt(t, dir))
		return
	}
	for _, c := range []struct {
		name string
		test func(t *testing.T, openAt func(t *testing.T, dir string) store.Engine)
	}{
		{"Reopen", testReopen},
		{"RevisionsContinue", testRevisionsContinue},
		{"OffsetsContinue", testOffsetsContinue},
		{"Model", testModelReopen},
		{"Kill", testKill},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, openAt) })
	}
}

func testReopen(t *testing.T, openAt func(t *testing.T, dir string) store.Engine) {
	dir := t.TempDir()
	e := openAt(t, dir)
	appendMany(t, e, "s", 20000, 7, 0)
	put(t, e, "a", "1")
	put(t, e, "b", "2")
	want := get(t, e, "b")
	wantAll := readAll(t, e, "s", 0)
	wantKey := readKey(t, e, "s", "d3", 100, milli(5000), milli(15000))
	closeEngine(t, e)
	for range 2 {
		e = openAt(t, dir)
		if diff := cmp.Diff(want, get(t, e, "b")); diff != "" {
			t.Errorf("entry (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(wantAll, readAll(t, e, "s", 0)); diff != "" {
			t.Errorf("stream (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(wantKey, readKey(t, e, "s", "d3", 100, milli(5000), milli(15000))); diff != "" {
			t.Errorf("records of a key (-before +after):\n%s", diff)
		}
		closeEngine(t, e)
	}
}

func testRevisionsContinue(t *testing.T, openAt func(t *testing.T, dir string) store.Engine) {
	dir := t.TempDir()
	var last uint64
	for range 4 {
		e := openAt(t, dir)
		put(t, e, "k", "v")
		revision := get(t, e, "k").Revision
		if revision <= last {
			t.Errorf("revision %d after %d", revision, last)
		}
		last = revision
		var b store.Batch
		b.Delete([]byte("k"))
		commit(t, e, &b)
		closeEngine(t, e)
	}
}

func testOffsetsContinue(t *testing.T, openAt func(t *testing.T, dir string) store.Engine) {
	dir := t.TempDir()
	var last uint64
	for round := range 6 {
		e := openAt(t, dir)
		appendMany(t, e, "s", 3, 2, 0)
		all := readAll(t, e, "s", last+1)
		if len(all) != 3 {
			t.Fatalf("round %d: %d records after offset %d, want 3", round, len(all), last)
		}
		last = all[2].Offset
		if round%2 == 0 {
			if err := e.Trim(t.Context(), "s", milli(1000)); err != nil {
				t.Fatal(err)
			}
		}
		closeEngine(t, e)
	}
}

// testModelReopen is both models, with a new engine over the same files now and
// then.
func testModelReopen(t *testing.T, openAt func(t *testing.T, dir string) store.Engine) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		e := openAt(t, dir)
		defer func() { closeEngine(t, e) }()
		kv := &kvModel{values: make(map[string]string), revisions: make(map[string]uint64)}
		log := new(logModel)
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0:
				closeEngine(t, e)
				e = openAt(t, dir)
				kv.compare(t, rt, e, nil)
				log.compare(t, rt, e)
			case 1, 2:
				kv.step(t, rt, e)
			default:
				log.step(t, rt, e)
			}
		}
	})
}

// soon ends a wait that has no other end.
const soon = time.Minute
