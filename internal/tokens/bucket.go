// SPDX-License-Identifier: Apache-2.0

// Package tokens bounds rates.
package tokens

import (
	"context"
	"sync"
	"time"
)

// Bucket is a token bucket that holds a second's worth. A nil Bucket has no bound.
// It is safe for concurrent use.
type Bucket struct {
	mu     sync.Mutex
	rate   float64 // a second
	tokens float64 // negative while some wait
	last   time.Time
}

// New returns a full bucket, or nil when rate is negative.
func New(rate int) *Bucket {
	if rate < 0 {
		return nil
	}
	return &Bucket{rate: float64(rate), tokens: float64(rate), last: time.Now()}
}

func (b *Bucket) refill() {
	now := time.Now()
	b.tokens = min(b.rate, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	b.last = now
}

// Take takes one token if there is one.
func (b *Bucket) Take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refill(); b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Wait takes n tokens and waits until they are there, or ctx ends, when it gives them
// back.
func (b *Bucket) Wait(ctx context.Context, n int) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	b.refill()
	b.tokens -= float64(n)
	missing := -b.tokens
	b.mu.Unlock()
	if missing <= 0 {
		return nil
	}
	err := Sleep(ctx, time.Duration(missing/b.rate*float64(time.Second)))
	if err != nil {
		b.mu.Lock()
		b.tokens += float64(n)
		b.mu.Unlock()
	}
	return err
}

// Sleep waits for d or the end of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
