// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// circuit keeps an action from calling a sink that fails. After a failure all lanes
// wait; then one of them tries, and the others go on when it succeeds.
type circuit struct {
	retry Retry

	mu        sync.Mutex
	failures  int
	until     time.Time
	probing   bool
	changed   chan struct{} // closed when a probe ends
	successes uint64
}

// enter waits until a call may be made. probe says that all others wait for it.
func (c *circuit) enter(ctx context.Context) (probe bool, err error) {
	for {
		c.mu.Lock()
		if c.failures == 0 {
			c.mu.Unlock()
			return false, nil
		}
		pause := time.Until(c.until)
		if pause <= 0 && !c.probing {
			c.probing = true
			c.mu.Unlock()
			return true, nil
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		probing := c.probing
		c.mu.Unlock()
		if err := waitFor(ctx, pause, changed, probing); err != nil {
			return false, err
		}
	}
}

// waitFor waits for a probe to end, and if there is none for pause.
func waitFor(ctx context.Context, pause time.Duration, changed <-chan struct{}, probing bool) error {
	var timer <-chan time.Time
	if !probing {
		t := time.NewTimer(pause)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-timer:
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// leave tells how a call ended; ok also for one whose message was at fault.
func (c *circuit) leave(probe, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case ok:
		c.failures = 0
		c.successes++
	case probe || c.failures == 0:
		c.failures++
		pause := c.retry.pause(c.failures)
		c.until = time.Now().Add(pause - pause/5 + rand.N(pause/5+1))
	}
	if probe {
		c.probing = false
	}
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// passed counts the calls that succeeded.
func (c *circuit) passed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.successes
}
