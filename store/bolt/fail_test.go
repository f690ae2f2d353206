// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

var errDisk = errors.New("disk on fire")

// The commit that fails takes the whole engine with it.
func TestFailedCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	e, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string) error {
		var b store.Batch
		b.Put([]byte(key), nil)
		return store.Commit(t.Context(), e, &b)
	}
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	e.OnCommit(func(tx *bbolt.Tx) error { return errors.Join(errDisk, tx.Rollback()) })
	if err := put("failing"); !errors.Is(err, bolt.ErrFailed) || !errors.Is(err, errDisk) {
		t.Fatalf("got %v, want ErrFailed and its cause", err)
	}
	e.OnCommit((*bbolt.Tx).Commit)
	for name, call := range map[string]func() error{
		"Commit": func() error { return put("later") },
		"Trim":   func() error { return e.Trim(t.Context(), "s", time.Now()) },
		"Get":    func() error { _, err := e.Get(t.Context(), []byte("before")); return err },
		"Range":  func() error { return firstError(e.Range(t.Context(), nil, nil)) },
		"Read":   func() error { return firstError(e.Read(t.Context(), "s", 0)) },
	} {
		if err := call(); !errors.Is(err, errDisk) {
			t.Errorf("%s: got %v, want the cause of the failure", name, err)
		}
	}
	closeNow(t, e)
	if err := put("closed"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
	if e, err = bolt.Open(path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	defer closeNow(t, e)
	if err := put("again"); err != nil {
		t.Errorf("after opening again: %v", err)
	}
	if _, err := e.Get(t.Context(), []byte("before")); err != nil {
		t.Errorf("what was committed before: %v", err)
	}
}

// firstError returns the first error of a walk.
func firstError[T any](walk func(yield func(T, error) bool)) error {
	for _, err := range walk {
		if err != nil {
			return err
		}
	}
	return nil
}

// Groups are committed one by one, and while one is, the next one gathers.
func TestGroupsGather(t *testing.T) {
	e := open(t, bolt.Options{})
	entered, leave := make(chan struct{}), make(chan struct{})
	e.OnCommit(func(tx *bbolt.Tx) error {
		entered <- struct{}{}
		<-leave
		return tx.Commit()
	})
	results := make(chan error, 101)
	submit := func(n int) {
		for i := range n {
			b := new(store.Batch)
			b.Put([]byte{byte(i)}, []byte{byte(n)})
			if err := e.Submit(context.Background(), b, func(err error) { results <- err }); err != nil {
				t.Fatal(err)
			}
		}
	}
	submit(1)
	<-entered
	submit(100)
	if n := len(results); n != 0 {
		t.Errorf("%d batches done before any commit", n)
	}
	leave <- struct{}{}
	<-entered
	leave <- struct{}{}
	for range 101 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if s := e.Stats(); s.Groups != 2 || s.Batches != 101 || s.Writes != 101 {
		t.Errorf("%+v; want 2 groups of 101 batches", s)
	}
}

// Several writes of a key in a group reach the file once.
func TestWritesCollapse(t *testing.T) {
	e := open(t, bolt.Options{})
	var b store.Batch
	for i := range 100 {
		b.Put([]byte("same"), []byte{byte(i)})
	}
	if err := store.Commit(t.Context(), e, &b); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Writes != 1 {
		t.Errorf("%d writes reached the file, want 1", s.Writes)
	}
}
