// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/store"
)

var submitCases = []testCase{
	{"DoneOnceInOrder", testDoneOnceInOrder},
	{"DoneInCommitOrder", testDoneInCommitOrder},
	{"DoneSeesItsBatch", testDoneSeesItsBatch},
	{"DoneMaySubmit", testDoneMaySubmit},
	{"BytesAreBorrowed", testBytesAreBorrowed},
	{"EmptyBatch", testEmptyBatch},
	{"Bounds", testBounds},
	{"CancelWhileFull", testCancelWhileFull},
}

func testDoneOnceInOrder(t *testing.T, e store.Engine) {
	const n = 3000
	var got []int // done is called by one goroutine at a time
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		var b store.Batch
		b.Append("s", "d", milli(int64(i)), binary.BigEndian.AppendUint32(nil, uint32(i)))
		b.Put([]byte{'k', byte(i)}, []byte{byte(i)})
		err := e.Submit(t.Context(), &b, func(err error) {
			if err != nil {
				t.Errorf("batch %d: %v", i, err)
			}
			got = append(got, i)
			all.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	want := make([]int, n)
	for i := range want {
		want[i] = i
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("done called (-want +got):\n%s", diff)
	}
	for i, r := range readAll(t, e, "s", 0) {
		if v := binary.BigEndian.Uint32([]byte(r.Value)); int(v) != i {
			t.Fatalf("record %d is of batch %d", i, v)
		}
	}
}

// testDoneInCommitOrder compares the order of done with the order in the log.
func testDoneInCommitOrder(t *testing.T, e store.Engine) {
	const writers, each = 8, 200
	var got []string
	var all sync.WaitGroup
	for w := range writers {
		all.Add(each)
		go func() {
			for i := range each {
				name := fmt.Sprintf("%d.%d", w, i)
				var b store.Batch
				b.Append("s", name, milli(1), nil)
				err := e.Submit(t.Context(), &b, func(error) { got = append(got, name); all.Done() })
				if err != nil {
					t.Error(err)
					all.Done()
				}
			}
		}()
	}
	all.Wait()
	var want []string
	for _, r := range readAll(t, e, "s", 0) {
		want = append(want, r.Key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of the log and of done (-log +done):\n%s", diff)
	}
}

func testDoneSeesItsBatch(t *testing.T, e store.Engine) {
	result := make(chan error, 1)
	var b store.Batch
	b.Put([]byte("k"), []byte("v"))
	b.Append("s", "d", milli(1), []byte("r"))
	err := e.Submit(t.Context(), &b, func(error) {
		_, err := e.Get(t.Context(), []byte("k"))
		for r, rerr := range e.ReadKey(t.Context(), "s", "d", 0, milli(0), time.Time{}) {
			if rerr == nil && string(r.Value) == "r" {
				result <- err
				return
			}
		}
		result <- errors.Join(err, errors.New("no record"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("done does not see its batch: %v", err)
	}
}

func testDoneMaySubmit(t *testing.T, e store.Engine) {
	const n = 50
	finished := make(chan error, 1)
	var next func(i int, err error)
	next = func(i int, err error) {
		if err != nil || i == n {
			finished <- err
			return
		}
		var b store.Batch
		b.Append("s", "d", milli(int64(i)), nil)
		if err := e.Submit(t.Context(), &b, func(err error) { next(i+1, err) }); err != nil {
			finished <- err
		}
	}
	next(0, nil)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if got := len(readAll(t, e, "s", 0)); got != n {
		t.Errorf("%d records, want %d", got, n)
	}
}

// testBytesAreBorrowed reuses one buffer as soon as done is called.
func testBytesAreBorrowed(t *testing.T, e store.Engine) {
	const n, buffers = 500, 4
	free := make(chan []byte, buffers)
	for range buffers {
		free <- make([]byte, 64)
	}
	for i := range n {
		buf := <-free
		key := fmt.Appendf(buf[:0], "key %03d", i)
		value := fmt.Appendf(buf[16:16], "value %03d", i)
		record := fmt.Appendf(buf[32:32], "record %03d", i)
		var b store.Batch
		b.Check(key, 0)
		b.Put(key, value)
		b.Append("s", "d", milli(int64(i)), record)
		err := e.Submit(t.Context(), &b, func(err error) {
			if err != nil {
				t.Error(err)
			}
			scribble(buf)
			free <- buf
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range buffers {
		<-free
	}
	for i := range n {
		if got := get(t, e, fmt.Sprintf("key %03d", i)); string(got.Value) != fmt.Sprintf("value %03d", i) {
			t.Fatalf("key %03d is %q", i, got.Value)
		}
	}
	for i, r := range readAll(t, e, "s", 0) {
		if r.Value != fmt.Sprintf("record %03d", i) {
			t.Fatalf("record %d is %q", i, r.Value)
		}
	}
}

func testEmptyBatch(t *testing.T, e store.Engine) {
	commit(t, e, new(store.Batch))
}

func testBounds(t *testing.T, e store.Engine) {
	fits, long := strings.Repeat("k", store.MaxKey), strings.Repeat("k", store.MaxKey+1)
	tests := []struct {
		name string
		add  func(b *store.Batch)
		want error
	}{
		{"put at the bound", func(b *store.Batch) { b.Put([]byte(fits), nil) }, nil},
		{"put", func(b *store.Batch) { b.Put([]byte(long), nil) }, store.ErrTooLarge},
		{"delete", func(b *store.Batch) { b.Delete([]byte(long)) }, store.ErrTooLarge},
		{"check", func(b *store.Batch) { b.Check([]byte(long), 0) }, store.ErrTooLarge},
		{"append at the bound", func(b *store.Batch) { b.Append("s", fits, milli(1), nil) }, nil},
		{"append", func(b *store.Batch) { b.Append("s", long, milli(1), nil) }, store.ErrTooLarge},
		{"stream at the bound", func(b *store.Batch) { b.Append(fits[:store.MaxStream], "d", milli(1), nil) }, nil},
		{"stream", func(b *store.Batch) { b.Append(fits[:store.MaxStream+1], "d", milli(1), nil) }, store.ErrTooLarge},
		{"empty put", func(b *store.Batch) { b.Put(nil, nil) }, store.ErrEmpty},
		{"empty check", func(b *store.Batch) { b.Check(nil, 0) }, store.ErrEmpty},
		{"empty append", func(b *store.Batch) { b.Append("s", "", milli(1), nil) }, store.ErrEmpty},
		{"empty stream", func(b *store.Batch) { b.Append("", "d", milli(1), nil) }, store.ErrEmpty},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b store.Batch
			b.Put([]byte("beside"), []byte(test.name))
			test.add(&b)
			if err := store.Commit(t.Context(), e, &b); !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if test.want == nil {
				return
			}
			if got, err := e.Get(t.Context(), []byte("beside")); err == nil && string(got.Value) == test.name {
				t.Error("the rest of the batch was done")
			}
		})
	}
}

// fill submits until ctx ends or Submit says something else, with done blocked
// until release is called. It returns that error.
func fill(ctx context.Context, t *testing.T, e store.Engine) (called *atomic.Int64, accepted int64, release func(), err error) {
	t.Helper()
	const enough = 1 << 20 // batches no bounded queue takes
	blocked := make(chan struct{})
	called = new(atomic.Int64)
	done := func(error) {
		<-blocked
		called.Add(1)
	}
	for accepted = 0; accepted < enough; accepted++ {
		b := new(store.Batch)
		b.Append("s", "d", milli(1), nil)
		if err = e.Submit(ctx, b, done); err != nil {
			break
		}
	}
	if err == nil {
		t.Errorf("%d batches wait and Submit takes more", enough)
	}
	return called, accepted, sync.OnceFunc(func() { close(blocked) }), err
}

func testCancelWhileFull(t *testing.T, e store.Engine) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	called, accepted, release, err := fill(ctx, t, e)
	defer release()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the context's error", err)
	}
	release()
	put(t, e, "k", "after") // committed last, called back last
	if got := called.Load(); got != accepted {
		t.Errorf("done called %d times for %d batches", got, accepted)
	}
	if got := int64(len(readAll(t, e, "s", 0))); got != accepted {
		t.Errorf("%d records of %d batches", got, accepted)
	}
}
