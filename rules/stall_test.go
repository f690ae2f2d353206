// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/store/mem"
)

// BenchmarkStalledNeighbour is how long a message takes to the sink of one rule
// while that of another takes nothing, and without that other rule: p99 differs by
// less than 10 %.
func BenchmarkStalledNeighbour(b *testing.B) {
	for name, stalled := range map[string]bool{"alone": false, "beside": true} {
		b.Run(name, func(b *testing.B) {
			l, e := &memlog.Log{}, mem.New()
			defer e.Close()
			r, err := rules.Open(b.Context(), rules.Config{Source: l, Store: e, Rate: -1})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			taken := make(chan struct{})
			sinks := map[string]rules.SinkFunc{"quick": func(context.Context, []*rules.Delivery) error { taken <- struct{}{}; return nil }}
			if stalled {
				sinks["stalled"] = func(ctx context.Context, _ []*rules.Delivery) error { <-ctx.Done(); return ctx.Err() }
			}
			for id, s := range sinks {
				err := r.Put(b.Context(), rules.Rule{ID: id, SQL: `SELECT n FROM "t/#" WHERE n >= 0`, Mode: rules.AtLeastOnce, Actions: one(s)})
				if err != nil {
					b.Fatal(err)
				}
			}
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				start := time.Now()
				l.Say("d", "t/1", `{"n":1}`)
				<-taken
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
		})
	}
}
