// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	// noise is how many processors others may use while we measure. Some is our
	// own: the kernel's threads that write to the disk.
	noise = 0.25
	// disturbances is how often a run is tried.
	disturbances = 5
)

// calm waits until nobody else uses the machine, for as long as the flags say.
func (b *bench) calm(ctx context.Context) {
	const look = 500 * time.Millisecond
	for end := time.Now().Add(b.patience); time.Now().Before(end) && ctx.Err() == nil; {
		busy := machineTime()
		time.Sleep(look)
		if (machineTime()-busy).Seconds()/look.Seconds() < noise/2 {
			return
		}
	}
}

// machineTime is what all processors have been busy for.
func machineTime() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(stat), "\n")
	var ticks int64
	for i, f := range strings.Fields(line) {
		switch i {
		case 1, 2, 3, 6, 7, 8: // user, nice, system, irq, softirq, steal
			n, _ := strconv.ParseInt(f, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ, on everything Go runs on
}

// disturbed is a remark about other programs that took processors, if any did.
func (b *bench) disturbed(name string, s sides) {
	all := append(append([]outcome(nil), s.ours...), s.base...)
	if others := middle(all, func(o *outcome) float64 { return o.others }); others > 0.1 {
		b.note("%s: other programs used %.2f of %d cores meanwhile (median); rates and ratios suffer from it, processor time a message hardly.",
			name, others, runtime.NumCPU())
	}
}
