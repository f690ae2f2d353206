// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package bolt_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

const syncDir = "BOLT_SYNC_DIR"

// TestSync looks at the syncs of the file: done comes after the one that covers
// it, and a sync that goes wrong acknowledges nothing. A child process does it,
// for the hook cannot be taken off again.
func TestSync(t *testing.T) {
	if dir := os.Getenv(syncDir); dir != "" {
		syncChild(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSync$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), syncDir+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
}

func syncChild(t *testing.T, dir string) {
	hook, err := newSyncHook()
	if err != nil {
		t.Skip("no hook for fdatasync here: ", err)
	}
	d := &disk{hook: hook, stopped: make(chan uint64)}
	go d.run()
	defer os.Exit(1) // the goroutines of a failed test, and the hook's, have no other end
	ok := t.Run("DoneAfterSync", func(t *testing.T) { testDoneAfterSync(t, d, filepath.Join(dir, "done.db")) }) &&
		t.Run("FailingDataSync", func(t *testing.T) { testFailingSync(t, d, filepath.Join(dir, "data.db"), 1) }) &&
		t.Run("FailingMetaSync", func(t *testing.T) { testFailingSync(t, d, filepath.Join(dir, "meta.db"), 2) })
	if ok {
		os.Exit(0)
	}
}

// disk lets syncs pass, or stops them for a test to decide.
type disk struct {
	hook    *syncHook
	mu      sync.Mutex
	manual  bool
	stopped chan uint64
}

func (d *disk) setManual(manual bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.manual = manual
}

func (d *disk) run() {
	for {
		id, err := d.hook.next()
		if err != nil {
			panic(err)
		}
		d.mu.Lock()
		manual := d.manual
		d.mu.Unlock()
		if manual {
			d.stopped <- id
		} else if err := d.hook.finish(id, 0); err != nil {
			panic(err)
		}
	}
}

// wait returns the sync that covers the batch of result.
func (d *disk) wait(t *testing.T, result <-chan error) (id uint64) {
	t.Helper()
	select {
	case id = <-d.stopped:
	case err := <-result:
		t.Fatalf("done was called with %v without a sync", err)
	}
	return id
}

func openHere(t *testing.T, path string) *bolt.Engine {
	t.Helper()
	e, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func submit(t *testing.T, e *bolt.Engine, key string) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	var b store.Batch
	b.Put([]byte(key), []byte(key))
	b.Append("s", key, time.UnixMilli(1), []byte(key))
	if err := e.Submit(t.Context(), &b, func(err error) { result <- err }); err != nil {
		t.Fatal(err)
	}
	return result
}

// has reports whether both parts of the batch of key are there.
func has(t *testing.T, e *bolt.Engine, key string) bool {
	t.Helper()
	_, err := e.Get(t.Context(), []byte(key))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if records := len(recordsOf(t, e, key)); (records == 1) != (err == nil) {
		t.Errorf("%s: %d records, get: %v", key, records, err)
	}
	return err == nil
}

func testDoneAfterSync(t *testing.T, d *disk, path string) {
	e := openHere(t, path)
	d.setManual(true)
	result := submit(t, e, "a")
	for i := 1; i <= 2; i++ { // the pages, the meta page
		id := d.wait(t, result)
		select {
		case err := <-result:
			t.Fatalf("done was called with %v before sync %d returned", err, i)
		case <-time.After(50 * time.Millisecond):
		}
		if err := d.hook.finish(id, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	d.setManual(false)
	if !has(t, e, "a") {
		t.Error("a is not there")
	}
	closeNow(t, e)
}

// testFailingSync has the sync number bad of a commit go wrong. Nothing after it
// is acknowledged, what was before is there.
func testFailingSync(t *testing.T, d *disk, path string, bad int) {
	e := openHere(t, path)
	if err := <-submit(t, e, "before"); err != nil {
		t.Fatal(err)
	}
	d.setManual(true)
	failing := submit(t, e, "failing")
	for i := 1; i < bad; i++ {
		if err := d.hook.finish(d.wait(t, failing), 0); err != nil {
			t.Fatal(err)
		}
	}
	id := d.wait(t, failing)
	waiting := submit(t, e, "waiting")
	d.setManual(false) // it is but this one that goes wrong
	if err := d.hook.finish(id, syscall.EIO); err != nil {
		t.Fatal(err)
	}
	for name, result := range map[string]<-chan error{"failing": failing, "waiting": waiting} {
		if err := <-result; !errors.Is(err, bolt.ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v, want ErrFailed and EIO", name, err)
		}
	}
	if err := e.Submit(t.Context(), new(store.Batch), func(error) {}); !errors.Is(err, bolt.ErrFailed) {
		t.Errorf("Submit later: got %v, want ErrFailed", err)
	}
	if _, err := e.Get(t.Context(), []byte("before")); !errors.Is(err, bolt.ErrFailed) {
		t.Errorf("Get later: got %v, want ErrFailed", err)
	}
	closeNow(t, e)

	e = openHere(t, path)
	defer closeNow(t, e)
	if !has(t, e, "before") {
		t.Error("an acknowledged batch is gone")
	}
	if has(t, e, "waiting") {
		t.Error("a batch after the failure is there")
	}
	if there := has(t, e, "failing"); there && bad == 1 {
		t.Error("a batch is there whose pages were not synced")
	}
	if err := <-submit(t, e, "after"); err != nil {
		t.Errorf("after opening again: %v", err)
	}
}
