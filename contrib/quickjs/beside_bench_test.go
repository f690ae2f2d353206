// SPDX-License-Identifier: Apache-2.0

package quickjs_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/contrib/quickjs"
	devices "github.com/openalink/iot/device"
	"github.com/openalink/iot/hub"
)

// BenchmarkBesideALoop posts from a device of a product without a script, alone and
// while every message of another product ends in an endless loop, and reports how
// much slower half, and the slowest hundredth, of its posts become.
func BenchmarkBesideALoop(b *testing.B) {
	h, c := connectRaw(b, `function rawDataToProtocol(bytes) { while (true) {} }`, nil)
	if _, err := h.CreateProduct(b.Context(), hub.Product{Key: "a1Json00001"}); err != nil {
		b.Fatal(err)
	}
	other := connect(b, h, iot.DeviceID{Product: "a1Json00001", Name: "calm"}, nil)
	calm := posts(b, other)
	ctx, cancel := context.WithCancel(b.Context())
	var loops sync.WaitGroup
	for i := range 4 {
		d := c
		if i > 0 {
			d = connect(b, h, iot.DeviceID{Product: device.Product, Name: fmt.Sprintf("loop-%d", i)}, nil)
		}
		loops.Go(func() {
			for ctx.Err() == nil { // the answer never comes
				short, stop := context.WithTimeout(ctx, quickjs.DefaultTimeout)
				_, _ = d.PostRaw(short, frame)
				stop()
			}
		})
	}
	busy := posts(b, other)
	cancel()
	loops.Wait()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(busy[len(busy)/2])/float64(calm[len(calm)/2]), "p50-ratio")
	b.ReportMetric(float64(busy[len(busy)*99/100])/float64(calm[len(calm)*99/100]), "p99-ratio")
	b.ReportMetric(float64(busy[len(busy)*99/100])/1e3, "p99-µs")
}

// posts returns the times of many posts, sorted.
func posts(b *testing.B, c *devices.Client) []time.Duration {
	b.Helper()
	var all []time.Duration
	for i := range 50_000 {
		begin := time.Now()
		if err := c.PostProperties(b.Context(), map[string]int{"n": i}); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all
}
