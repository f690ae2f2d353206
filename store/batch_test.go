// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openalink/iot/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBatchValidate(t *testing.T) {
	long := strings.Repeat("k", store.MaxKey+1)
	tests := []struct {
		name string
		add  func(b *store.Batch)
		want error
		text string
	}{
		{"empty batch", func(*store.Batch) {}, nil, ""},
		{"all at the bound", func(b *store.Batch) {
			b.Check([]byte(long[1:]), 0)
			b.Put([]byte(long[1:]), make([]byte, 10))
			b.Append(long[:store.MaxStream], long[1:], time.Time{}, make([]byte, 10))
		}, nil, ""},
		{"empty key", func(b *store.Batch) { b.Delete(nil) }, store.ErrEmpty, "key"},
		{"empty stream", func(b *store.Batch) { b.Append("", "d", time.Time{}, nil) }, store.ErrEmpty, "stream name"},
		{"long key", func(b *store.Batch) { b.Put([]byte(long), nil) }, store.ErrTooLarge, "1025 bytes, at most 1024"},
		{"long value", func(b *store.Batch) { b.Put([]byte("k"), make([]byte, 11)) }, store.ErrTooLarge, "value of 11"},
		{"long record", func(b *store.Batch) { b.Append("s", "d", time.Time{}, make([]byte, 11)) }, store.ErrTooLarge, "value of 11"},
		{"long stream", func(b *store.Batch) { b.Append(long[:65], "d", time.Time{}, nil) }, store.ErrTooLarge, "at most 64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b store.Batch
			test.add(&b)
			err := b.Validate(10)
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v with %q", err, test.want, test.text)
			}
		})
	}
}

// Reset keeps the memory and lets go of what was in it.
func TestBatchReset(t *testing.T) {
	var b store.Batch
	for range 2 {
		b.Check([]byte("c"), 1)
		b.Put([]byte("p"), []byte("v"))
		b.Delete([]byte("d"))
		b.Append("s", "k", time.Time{}, []byte("v"))
		if b.IsEmpty() {
			t.Error("a full batch says it is empty")
		}
		b.Reset()
		if !b.IsEmpty() {
			t.Error("an empty batch says it is not")
		}
	}
	if w := b.Writes[:1][0]; w.Key != nil || w.Value != nil {
		t.Errorf("the batch still holds %q = %q", w.Key, w.Value)
	}
	key := []byte("k")
	if n := testing.AllocsPerRun(10, func() { b.Put(key, key); b.Reset() }); n != 0 {
		t.Errorf("%v allocations to fill it again, want none", n)
	}
}

type committer func(ctx context.Context, b *store.Batch, done func(error)) error

func (c committer) Submit(ctx context.Context, b *store.Batch, done func(error)) error {
	return c(ctx, b, done)
}

func TestCommit(t *testing.T) {
	errSubmit, errDone := errors.New("not taken"), errors.New("not done")
	tests := []struct {
		name string
		c    committer
		want error
	}{
		{"done", func(_ context.Context, _ *store.Batch, done func(error)) error { done(nil); return nil }, nil},
		{"done later", func(_ context.Context, _ *store.Batch, done func(error)) error { go done(nil); return nil }, nil},
		{"done with an error", func(_ context.Context, _ *store.Batch, done func(error)) error { done(errDone); return nil }, errDone},
		{"not submitted", func(context.Context, *store.Batch, func(error)) error { return errSubmit }, errSubmit},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := store.Commit(t.Context(), test.c, new(store.Batch)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	t.Run("context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var late func(error)
		c := committer(func(_ context.Context, _ *store.Batch, done func(error)) error {
			late = done
			cancel()
			return nil
		})
		if err := store.Commit(ctx, c, new(store.Batch)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		late(nil) // must not block
	})
}
