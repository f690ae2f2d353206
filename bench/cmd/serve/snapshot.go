// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
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
		Mallocs: m.Mallocs, Messages: s.meter.messages.Load(), RSS: resident(), Written: written(),
	}
	if s.received != nil {
		u.Messages = atomic.LoadInt64(s.received)
	}
	if s.bolt != nil {
		u.Store = s.bolt.Stats()
	}
	if s.allocs {
		u.StoreMallocs = storeMallocs()
	}
	return u
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

// storeMallocs counts the allocations made by the store: those whose innermost
// function of this module or bbolt is the store's. What a callback of the store
// allocates is not the store's.
func storeMallocs() (n uint64) {
	runtime.GC() // the profile shows what was there two collections ago
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 4096)
	count, ok := runtime.MemProfile(records, true)
	for !ok {
		records = make([]runtime.MemProfileRecord, count+4096)
		count, ok = runtime.MemProfile(records, true)
	}
	for _, r := range records[:count] {
		if ofStore(r.Stack()) {
			n += uint64(r.AllocObjects)
		}
	}
	return n
}

func ofStore(stack []uintptr) bool {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "go.etcd.io/bbolt"), strings.HasPrefix(f.Function, "github.com/openalink/iot/store/bolt"):
			return true
		case strings.HasPrefix(f.Function, "github.com/openalink/iot"), strings.HasPrefix(f.Function, "main."):
			return false
		case !more:
			return false
		}
	}
}
