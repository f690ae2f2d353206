// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/openalink/iot/bench/micro"
)

// machine is what the numbers depend on.
type machine struct {
	cpu, kernel, disk string
	load              string
	syncs             []time.Duration // medians of append and fdatasync, over the run
	slow              time.Duration   // p99 of the first series
	yardsticks        []float64       // ns, over the run
	yardstick         func()
}

func inspect(dir string) (machine, error) {
	m := machine{
		cpu: field("/proc/cpuinfo", "model name"), kernel: first("/proc/sys/kernel/osrelease"),
		disk: fileSystem(dir), load: first("/proc/loadavg"), yardstick: micro.Yardstick(),
	}
	p50, p99, err := syncLatency(dir, 500)
	m.syncs, m.slow = append(m.syncs, p50), p99
	m.look()
	return m, err
}

// look takes the yardstick once more.
func (m *machine) look() {
	m.yardsticks = append(m.yardsticks, micro.Measure(m.yardstick).Nanoseconds)
}

// scale is how much slower this machine is than the one the absolute bars were
// set on.
func (m *machine) scale() float64 { return median(m.yardsticks) / micro.ReferenceYardstick }

// f is the median time of a 4 KiB append and fdatasync.
func (m *machine) f() time.Duration { return median(m.syncs) }

func (m *machine) facts() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, Linux %s, %s\n", m.cpu, runtime.NumCPU(), m.kernel, runtime.Version())
	fmt.Fprintf(&b, "load average before the run %s, after it %s\n", m.load, first("/proc/loadavg"))
	fmt.Fprintf(&b, "disk: %s; F, an append of 4 KiB and fdatasync: p50 %v (%v to %v over the run), p99 %v\n",
		m.disk, round(m.f()), round(slices.Min(m.syncs)), round(slices.Max(m.syncs)), round(m.slow))
	fmt.Fprintf(&b, "yardstick, three gjson.GetBytes of 450 bytes: %.0f ns (%.0f to %.0f over the run), reference %d ns: absolute times are scaled by %.2f\n",
		median(m.yardsticks), slices.Min(m.yardsticks), slices.Max(m.yardsticks), micro.ReferenceYardstick, m.scale())
	return b.String()
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// syncLatency appends 4 KiB to a file in dir and waits for the disk, n times.
func syncLatency(dir string, n int) (p50, p99 time.Duration, err error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4096)
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, 0, err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100], nil
}

// fileSystem names what dir is on.
func fileSystem(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "unknown"
	}
	mounts, _ := os.ReadFile("/proc/mounts")
	best, name := "", "unknown"
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 2 && len(f[1]) >= len(best) && (f[1] == "/" || abs == f[1] || strings.HasPrefix(abs, f[1]+"/")) {
			best, name = f[1], f[2]+" on "+f[0]
		}
	}
	if strings.HasPrefix(name, "tmpfs") {
		name += " (this is memory, not a disk: say -dir)"
	}
	return name
}

func first(file string) string {
	b, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func field(file, key string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

func median[T cmp.Ordered](v []T) T {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
