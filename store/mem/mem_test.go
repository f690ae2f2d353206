// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
	"github.com/openalink/iot/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEngine(t *testing.T) {
	storetest.TestEngine(t, func(t *testing.T) store.Engine {
		e := mem.New()
		t.Cleanup(func() { e.Close() })
		return e
	})
}

func TestInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := mem.New()
		defer e.Close()
		for range 100 {
			var b store.Batch
			b.Append("s", "d", time.Now(), nil)
			if err := store.Commit(t.Context(), e, &b); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		if err := e.Trim(t.Context(), "s", time.Now().Add(-10*time.Hour)); err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, err := range e.Read(t.Context(), "s", 0) {
			if err != nil {
				t.Fatal(err)
			}
			left++
		}
		if left != 10 {
			t.Errorf("%d records are left, want 10", left)
		}
	})
}

// A full engine refuses what makes it larger, and takes it after room was made.
func TestMaxBytes(t *testing.T) {
	e := mem.New(mem.WithMaxBytes(64 << 10))
	defer e.Close()
	ctx := t.Context()
	value := make([]byte, 1000)
	write := func(key string) error {
		var b store.Batch
		b.Put([]byte(key), value)
		b.Append("s", key, time.UnixMilli(1), value)
		return store.Commit(ctx, e, &b)
	}
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = write(string(rune('A' + n)))
	}
	if !errors.Is(err, mem.ErrFull) {
		t.Fatalf("after %d batches: got %v, want ErrFull", n, err)
	}
	var same store.Batch
	same.Put([]byte("A"), value)
	if err := store.Commit(ctx, e, &same); err != nil {
		t.Errorf("put of the same size while full: %v", err)
	}
	if err := e.Trim(ctx, "s", time.UnixMilli(2)); err != nil {
		t.Fatal(err)
	}
	if err := write("after"); err != nil {
		t.Errorf("after Trim: %v", err)
	}
}

func BenchmarkCommit(b *testing.B) {
	e := mem.New()
	defer e.Close()
	ctx := context.Background()
	key, value := []byte("state/a1/lamp01"), make([]byte, 400)
	b.ReportAllocs()
	var batch store.Batch
	for b.Loop() {
		batch.Reset()
		batch.Put(key, value)
		if err := store.Commit(ctx, e, &batch); err != nil {
			b.Fatal(err)
		}
	}
}
