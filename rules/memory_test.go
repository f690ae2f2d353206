// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/store/mem"
)

// Ten thousand idle rules with two actions each take less than 10 KB each.
func TestIdleRules(t *testing.T) {
	const n, most = 10_000, 10 << 10
	l, e := &memlog.Log{}, mem.New()
	t.Cleanup(func() { e.Close() })
	r := open(t, l, e, func(c *rules.Config) { c.MaxRules = n })
	before := heap()
	goroutines := runtime.NumGoroutine()
	var s sink
	for i := range n {
		put(t, r, rules.Rule{
			ID:      fmt.Sprint("r", i),
			SQL:     fmt.Sprintf(`SELECT deviceName() AS d, items.Temperature.value AS t FROM "/a1Product%05d/+/thing/event/property/post" WHERE items.Temperature.value > 38 AND items.Humidity.value < 60`, i),
			Actions: []rules.Action{{Sink: &s}, {Sink: &s}},
		})
	}
	each := (heap() - before) / n
	t.Logf("%d bytes a rule", each)
	if each > most || runtime.NumGoroutine() > goroutines {
		t.Errorf("%d bytes a rule, at most %d; %d goroutines, before %d", each, most, runtime.NumGoroutine(), goroutines)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
