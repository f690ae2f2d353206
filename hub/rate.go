// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync/atomic"
	"time"
)

// A rate is a limit of n events a window, with bursts of up to n. It costs eight
// bytes of state wherever it is applied (the generic cell rate algorithm), which
// is why it is used instead of a token bucket with a mutex.
type rate struct {
	step   int64 // nanoseconds an event takes up; 0 is without limit
	window int64
}

func perSecond(n int) rate { return newRate(n, time.Second) }

func newRate(n int, window time.Duration) rate {
	if n <= 0 {
		return rate{}
	}
	return rate{step: max(int64(window)/int64(n), 1), window: int64(window)}
}

func (r rate) unlimited() bool { return r.step == 0 }

// take charges n events at now (nanoseconds) against *full and returns zero, or,
// charging nothing, the time until they fit. *full is when everything charged so
// far has drained.
func (r rate) take(full *int64, now int64, n int) time.Duration {
	next, wait := r.charge(*full, now, n)
	if wait == 0 {
		*full = next
	}
	return wait
}

func (r rate) charge(full, now int64, n int) (int64, time.Duration) {
	next := max(full, now) + r.step*int64(n)
	// An event larger than the window fits when nothing else is charged.
	if over := next - now - max(r.window, r.step*int64(n)); over > 0 {
		return full, time.Duration(over)
	}
	return next, 0
}

// takeShared is take for state shared by goroutines.
func (r rate) takeShared(full *atomic.Int64, now int64, n int) time.Duration {
	if r.unlimited() {
		return 0
	}
	for {
		old := full.Load()
		next, wait := r.charge(old, now, n)
		if wait > 0 {
			return wait
		}
		if full.CompareAndSwap(old, next) {
			return 0
		}
	}
}

// A meter is a rate with its state, shared by goroutines.
type meter struct {
	rate
	full atomic.Int64
}

func (m *meter) take(now int64, n int) time.Duration { return m.takeShared(&m.full, now, n) }
