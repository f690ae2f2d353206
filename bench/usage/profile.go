// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"runtime"
	"strings"
)

const module = "github.com/openalink/iot/"

// Profile counts the allocations of the store and of what is above it. They are
// all there are, but for tiny ones, if runtime.MemProfileRate is 1. An allocation
// is the store's if the innermost function that is not the runtime's or the
// standard library's is of store/bolt or of bbolt: what a callback of the store
// allocates is not. Those of the benchmark itself do not count.
func (s *Snapshot) Profile() {
	runtime.GC() // the profile shows what was there two collections ago
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 4096)
	n, ok := runtime.MemProfile(records, true)
	for !ok {
		records = make([]runtime.MemProfileRecord, n+4096)
		n, ok = runtime.MemProfile(records, true)
	}
	for _, r := range records[:n] {
		switch owner(r.Stack()) {
		case "store":
			s.StoreMallocs += uint64(r.AllocObjects)
		case "above":
			s.AboveMallocs += uint64(r.AllocObjects)
		}
	}
}

func owner(stack []uintptr) string {
	who := ""
	for frames, more := runtime.CallersFrames(stack), true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "main.") || strings.HasPrefix(f.Function, module+"bench/"):
			return "bench"
		case who != "":
		case strings.HasPrefix(f.Function, "go.etcd.io/bbolt") || strings.HasPrefix(f.Function, module+"store/bolt"):
			who = "store"
		case strings.HasPrefix(f.Function, module):
			who = "above"
		}
	}
	if who == "" {
		return "above"
	}
	return who
}
