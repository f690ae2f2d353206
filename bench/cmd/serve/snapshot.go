// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/openalink/iot/bench/usage"
)

// meter counts what arrives.
type meter struct{ messages atomic.Int64 }

var epoch = time.Now()

func (s *server) snapshot() usage.Snapshot {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage.Snapshot{
		Addr: s.addr, At: time.Since(epoch), CPU: time.Duration(ru.Utime.Nano() + ru.Stime.Nano()),
		Mallocs: m.Mallocs, Tiny: tinyMallocs(), Messages: s.meter.messages.Load(), RSS: resident(), Written: written(),
	}
	if s.received != nil {
		u.Messages = atomic.LoadInt64(s.received)
	}
	if s.rules != nil {
		u.Rows = s.rules()
	}
	if s.bolt != nil {
		u.Store = s.bolt.Stats()
	}
	if s.allocs {
		u.Profile()
	}
	return u
}

// tinyMallocs counts the allocations of a few bytes that share a block.
func tinyMallocs() uint64 {
	m := []metrics.Sample{{Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(m)
	return m[0].Value.Uint64()
}

// resident is the memory the process has, in bytes.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	_, _ = fmt.Sscan(string(b), &size, &pages)
	return pages * int64(os.Getpagesize())
}

// written is what the process had written to disks, in bytes.
func written() (n int64) {
	f, err := os.Open("/proc/self/io")
	if err != nil {
		return 0
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if v, ok := strings.CutPrefix(in.Text(), "write_bytes: "); ok {
			_, _ = fmt.Sscan(v, &n)
		}
	}
	return n
}
