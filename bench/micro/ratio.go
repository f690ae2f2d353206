// SPDX-License-Identifier: Apache-2.0

// Package micro measures single functions of the hot path in the process that
// asks.
package micro

import (
	"runtime"
	"slices"
	"time"
)

// Cost is what one call of a function takes.
type Cost struct {
	Nanoseconds float64
	Allocs      float64
}

const (
	rounds = 101
	calls  = 500
	// warm is how long a function runs before it counts: a processor that slept
	// is slow at first.
	warm = 200 * time.Millisecond
)

func warmUp(f func()) {
	for start := time.Now(); time.Since(start) < warm; {
		round(f)
	}
}

// Measure returns the median cost of f over many short rounds.
func Measure(f func()) Cost {
	took := make([]float64, rounds)
	var before, after runtime.MemStats
	warmUp(f)
	runtime.ReadMemStats(&before)
	for i := range took {
		took[i] = round(f)
	}
	runtime.ReadMemStats(&after)
	return Cost{median(took), float64(after.Mallocs-before.Mallocs) / (rounds * calls)}
}

// Ratio returns how long f takes as a multiple of base: the median of rounds in
// which both run in turn, so that they share the machine's moods.
func Ratio(f, base func()) float64 {
	ratios := make([]float64, rounds)
	warmUp(base)
	for i := range ratios {
		ratios[i] = round(f) / round(base)
	}
	return median(ratios)
}

// round returns nanoseconds a call.
func round(f func()) float64 {
	start := time.Now()
	for range calls {
		f()
	}
	return float64(time.Since(start).Nanoseconds()) / calls
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
