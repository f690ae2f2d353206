// SPDX-License-Identifier: Apache-2.0

package iottest

import (
	"context"
	"slices"
	"sync"
)

// Recorder collects what happens and lets a test wait for it. The zero Recorder
// is ready and safe for concurrent use.
type Recorder[T any] struct {
	mu      sync.Mutex
	all     []T
	changed chan struct{}
}

// Add records v.
func (r *Recorder[T]) Add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, v)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// All returns what was recorded so far.
func (r *Recorder[T]) All() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// Wait returns the first record that f accepts, present or to come, or ctx's
// error.
func (r *Recorder[T]) Wait(ctx context.Context, f func(T) bool) (T, error) {
	seen := 0
	for {
		r.mu.Lock()
		for ; seen < len(r.all); seen++ {
			if f(r.all[seen]) {
				defer r.mu.Unlock()
				return r.all[seen], nil
			}
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}
