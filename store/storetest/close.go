// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openalink/iot/store"
)

var closeCases = []testCase{
	{"WhileBusy", testCloseWhileBusy},
	{"WhileFull", testCloseWhileFull},
	{"Afterwards", testClosedAfterwards},
}

func closer(t *testing.T, e store.Engine) io.Closer {
	t.Helper()
	c, ok := e.(io.Closer)
	if !ok {
		t.Skip("the engine has no Close")
	}
	return c
}

// testCloseWhileBusy demands that every batch either gets its done or an error
// from Submit, before Close returns.
func testCloseWhileBusy(t *testing.T, e store.Engine) {
	c := closer(t, e)
	var accepted, called atomic.Int64
	var all sync.WaitGroup
	busy := make(chan struct{})
	begin := sync.OnceFunc(func() { close(busy) })
	for range 4 {
		all.Go(func() {
			for {
				b := new(store.Batch)
				b.Append("s", "d", milli(1), nil)
				err := e.Submit(t.Context(), b, func(err error) {
					if err != nil && !errors.Is(err, store.ErrClosed) {
						t.Error(err)
					}
					if called.Add(1) == 1000 {
						begin()
					}
				})
				if err != nil {
					if !errors.Is(err, store.ErrClosed) {
						t.Error(err)
					}
					return
				}
				accepted.Add(1)
			}
		})
	}
	<-busy
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	atClose := called.Load()
	all.Wait()
	if accepted.Load() != atClose || called.Load() != atClose {
		t.Errorf("%d batches accepted, %d called back when Close returned, %d later", accepted.Load(), atClose, called.Load())
	}
}

// testCloseWhileFull closes while Submit blocks.
func testCloseWhileFull(t *testing.T, e store.Engine) {
	c := closer(t, e)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	called, accepted, release, _ := fill(ctx, t, e)
	defer release()
	submitted := make(chan error, 1)
	go func() {
		b := new(store.Batch)
		b.Append("s", "d", milli(1), nil)
		submitted <- e.Submit(t.Context(), b, func(error) {})
	}()
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	if err := <-submitted; !errors.Is(err, store.ErrClosed) {
		t.Errorf("Submit while full: got %v, want ErrClosed", err)
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if called.Load() != accepted {
		t.Errorf("done called %d times for %d batches", called.Load(), accepted)
	}
}

func testClosedAfterwards(t *testing.T, e store.Engine) {
	c := closer(t, e)
	put(t, e, "k", "v")
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	var b store.Batch
	b.Put([]byte("k"), []byte("w"))
	errs := readErrors(t.Context(), e)
	errs["Submit"] = e.Submit(t.Context(), &b, func(error) { t.Error("done was called") })
	for name, err := range errs {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
}
