// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

// newFile makes a store with a key and a record and returns its path.
func newFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	e, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b store.Batch
	b.Put([]byte("k"), []byte("v"))
	b.Append("s", "d", time.UnixMilli(1), []byte("v"))
	if err := store.Commit(t.Context(), e, &b); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// edit changes a closed file by bbolt alone.
func edit(t *testing.T, path string, change func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func setFormat(value ...byte) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), value) }
}

// A file that is not ours to read is refused by name and left as it is.
func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want error
		text string
	}{
		{"newer format", func(t *testing.T, path string) { edit(t, path, setFormat(2)) }, store.ErrFormat, "format 2, newer than 1"},
		{"format 0", func(t *testing.T, path string) { edit(t, path, setFormat(0)) }, store.ErrFormat, "format 0"},
		{"no format", func(t *testing.T, path string) { edit(t, path, setFormat()) }, store.ErrFormat, "does not say"},
		{"another program's", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("meta")) })
		}, store.ErrFormat, "another program"},
		{"text", func(t *testing.T, path string) {
			rewrite(t, path, func([]byte) []byte { return bytes.Repeat([]byte("not a database\n"), 5000) })
		}, store.ErrFormat, ""},
		{"short", func(t *testing.T, path string) {
			rewrite(t, path, func(b []byte) []byte { return b[:5000] })
		}, store.ErrFormat, "5000 bytes"},
		{"cut off", func(t *testing.T, path string) {
			rewrite(t, path, func(b []byte) []byte { return b[:4*4096] })
		}, nil, "cut off"},
		{"zeros in the middle", func(t *testing.T, path string) {
			rewrite(t, path, func(b []byte) []byte { clear(b[2*4096 : 64*4096]); return b })
		}, nil, "damaged"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := newFile(t)
			test.make(t, path)
			before := readFile(t, path)
			_, err := bolt.Open(path, bolt.Options{})
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			for _, part := range []string{path, test.text} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if !bytes.Equal(before, readFile(t, path)) {
				t.Error("the file was changed")
			}
		})
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	if err := os.WriteFile(path, change(readFile(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	e, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := bolt.Open(path, bolt.Options{}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want that the file is in use", err)
	}
}

func TestOpenWithoutDirectory(t *testing.T) {
	if _, err := bolt.Open(filepath.Join(t.TempDir(), "no", "store.db"), bolt.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

// A single value of a newer format stops who reads it, and nobody else.
func TestValueOfNewerFormat(t *testing.T) {
	path := newFile(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("kv")).Put([]byte("new"), []byte("\x02whatever"))
	})
	e, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Get(t.Context(), []byte("new")); !errors.Is(err, store.ErrFormat) {
		t.Errorf("Get: got %v, want ErrFormat", err)
	}
	var last error
	for _, err := range e.Range(t.Context(), nil, nil) {
		last = err
	}
	if !errors.Is(last, store.ErrFormat) {
		t.Errorf("Range: got %v, want ErrFormat", last)
	}
	var b store.Batch
	b.Check([]byte("new"), 1)
	if err := store.Commit(t.Context(), e, &b); !errors.Is(err, store.ErrFormat) {
		t.Errorf("Check: got %v, want ErrFormat", err)
	}
	b.Reset()
	b.Put([]byte("new"), []byte("overwritten"))
	if err := store.Commit(t.Context(), e, &b); err != nil {
		t.Errorf("Put: %v", err)
	}
}

// A damaged page is an error for those who read it, and at Open only when the
// engine cannot go on without it.
func TestDamagedPage(t *testing.T) {
	small := bolt.WithSegments(bolt.Options{}, 100, 1<<20)
	t.Run("in a complete segment", func(t *testing.T) {
		path := damage(t, small)
		e, err := bolt.Open(path, small)
		if err != nil {
			t.Fatal(err)
		}
		defer closeNow(t, e)
		if err := firstError(e.Read(t.Context(), "s", 0)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v, want that bytes are damaged", err)
		}
		if err := firstError(e.Read(t.Context(), "other", 0)); err != nil {
			t.Errorf("the other stream: %v", err)
		}
	})
	t.Run("in a tail", func(t *testing.T) {
		path := damage(t, bolt.Options{})
		if _, err := bolt.Open(path, bolt.Options{}); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v, want that bytes are damaged", err)
		}
	})
}

// damage makes a file with 1000 records, of which one is in a page without
// header.
func damage(t *testing.T, o bolt.Options) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "store.db")
	e, err := bolt.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	var b store.Batch
	for i := range 1000 {
		b.Append("s", "d", time.UnixMilli(int64(i)), fmt.Appendf(make([]byte, 400), "record %d.", i))
	}
	b.Append("other", "d", time.UnixMilli(1), nil)
	if err := store.Commit(t.Context(), e, &b); err != nil {
		t.Fatal(err)
	}
	e.WaitIndexed()
	closeNow(t, e)
	rewrite(t, path, func(content []byte) []byte {
		at := bytes.Index(content, []byte("record 550."))
		clear(content[at/4096*4096:][:16])
		return content
	})
	return path
}
