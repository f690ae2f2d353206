// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

const (
	page   = 4096
	sector = 512 // the disk tears no smaller
)

// step is a commit: the file before and after it.
type step struct{ before, after []byte }

// TestTornCommit makes the files a crash can leave behind: of the pages of an
// unfinished commit some, in part, and of the meta page what fits in its sector
// at last. Each must open with all of the commits before, and the unfinished one
// whole or not at all.
func TestTornCommit(t *testing.T) {
	dir := t.TempDir()
	steps := recordCommits(t, filepath.Join(dir, "store.db"))
	if len(steps) < 20 {
		t.Fatalf("%d commits, want some more", len(steps))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	torn := filepath.Join(dir, "torn.db")
	for i, s := range steps {
		before := dump(t, torn, s.before)
		after := dump(t, torn, s.after)
		if diff := cmp.Diff(before, dump(t, torn, tearData(rnd, s))); diff != "" {
			t.Fatalf("commit %d torn in its data (-before +torn):\n%s", i, diff)
		}
		got := dump(t, torn, tearMeta(rnd, s))
		if !cmp.Equal(got, before) && !cmp.Equal(got, after) {
			t.Fatalf("commit %d torn in its meta page is neither what was before nor after:\n%s", i, cmp.Diff(before, got))
		}
	}
}

// recordCommits has an engine commit this and that.
func recordCommits(t *testing.T, path string) []step {
	t.Helper()
	e, err := bolt.Open(path, bolt.WithSegments(bolt.Options{}, 40, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	e.OnCommit(func(tx *bbolt.Tx) error {
		size := tx.Size() // before pages are added
		before := readPart(t, path, size)
		err := tx.Commit()
		after := readPart(t, path, 1<<20)
		steps = append(steps, step{before, after})
		return err
	})
	value := bytes.Repeat([]byte("value"), 100)
	for i := range 25 {
		var b store.Batch
		for j := range 10 {
			b.Put(fmt.Appendf(nil, "key %d", (i*7+j*13)%60), fmt.Appendf(value, " %d", i))
			b.Append("s", fmt.Sprintf("d%d", j), time.UnixMilli(int64(i)), fmt.Appendf(value, " %d", i))
		}
		if err := store.Commit(t.Context(), e, &b); err != nil {
			t.Fatal(err)
		}
		if i == 15 {
			if err := e.Trim(t.Context(), "s", time.UnixMilli(8)); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeNow(t, e)
	return steps
}

// readPart returns the first size bytes of the file, or as many as it has.
func readPart(t *testing.T, path string, size int64) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	part := make([]byte, size)
	n, err := f.ReadAt(part, 0)
	if n == 0 {
		t.Fatal(err)
	}
	return part[:n]
}

// tearData returns s.before with some sectors of the pages that s wrote, apart
// from the meta pages: bbolt writes those after it has synced the others.
func tearData(rnd *rand.Rand, s step) []byte {
	file := grown(s)
	for at := 2 * page; at+sector <= len(s.after); at += sector {
		if rnd.IntN(2) == 0 {
			copy(file[at:], s.after[at:at+sector])
		}
	}
	return file
}

// tearMeta returns s.after with a meta page of which only the first bytes are
// written.
func tearMeta(rnd *rand.Rand, s step) []byte {
	file := bytes.Clone(s.after)
	for meta := 0; meta < 2*page; meta += page {
		tear := meta + rnd.IntN(100)
		copy(file[tear:meta+page], s.before[tear:meta+page])
	}
	return file
}

// grown is s.before with the length of s.after.
func grown(s step) []byte {
	file := make([]byte, len(s.after))
	copy(file, s.before)
	return file
}

// dump opens a file of that content and returns all that is in it.
func dump(t *testing.T, path string, content []byte) []string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, e)
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	var all []string
	for entry, err := range e.Range(t.Context(), nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %d %s", entry.Key, entry.Revision, entry.Value))
	}
	for r, err := range e.Read(t.Context(), "s", 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d %s %v %s", r.Offset, r.Key, r.Time, r.Value))
	}
	return all
}
