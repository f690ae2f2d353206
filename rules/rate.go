// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"sync"
	"time"
)

// bucket is a token bucket that holds a second's worth. A nil bucket has no bound.
type bucket struct {
	mu     sync.Mutex
	rate   float64 // a second
	tokens float64 // negative while some wait
	last   time.Time
}

func newBucket(rate int) *bucket {
	if rate < 0 {
		return nil
	}
	return &bucket{rate: float64(rate), tokens: float64(rate), last: time.Now()}
}

func (b *bucket) refill() {
	now := time.Now()
	b.tokens = min(b.rate, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	b.last = now
}

// take takes one token if there is one.
func (b *bucket) take() bool {
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

// wait takes n tokens and waits until they are there.
func (b *bucket) wait(ctx context.Context, n int) error {
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
	return sleep(ctx, time.Duration(missing/b.rate*float64(time.Second)))
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
