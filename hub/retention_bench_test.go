// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

// BenchmarkPostsDuringTrim posts while a month of messages is removed, and
// reports how much slower the slowest hundredth of the posts becomes. Each post is
// durable in a bolt store before it counts.
func BenchmarkPostsDuringTrim(b *testing.B) {
	st, err := bolt.Open(filepath.Join(b.TempDir(), "hub.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	age(b, st, 600_000)
	limits := hub.NoLimits()
	h, err := hub.Open(b.Context(), hub.Config{Store: st, Limits: &limits})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	p := &platform{t: b, hub: h, store: st}
	p.product = p.newProduct("a1Bench0001")
	c := p.connect(p.register("device-x"))
	const posts = 2000
	calm := c.p99(b, posts, nil)
	trimmed := make(chan error, 1)
	begin := time.Now()
	var took time.Duration
	go func() {
		err := h.Trim(b.Context())
		took = time.Since(begin)
		trimmed <- err
	}()
	busy := c.p99(b, posts, trimmed)
	b.ReportMetric(float64(calm)/1e3, "calm-p99-µs")
	b.ReportMetric(float64(busy)/1e3, "trim-p99-µs")
	b.ReportMetric(float64(busy)/float64(calm), "ratio")
	b.ReportMetric(took.Seconds(), "trim-s")
	b.ReportMetric(0, "ns/op")
}

// age writes messages of six weeks ago.
func age(b *testing.B, st store.Engine, n int) {
	b.Helper()
	old := time.Now().Add(-6 * 7 * 24 * time.Hour)
	value := make([]byte, 200)
	for n > 0 {
		var batch store.Batch
		for range min(n, 5000) {
			batch.Append("messages", fmt.Sprintf("a1Bench0001/device-%d", n%500), old, value)
			n--
		}
		if err := store.Commit(b.Context(), st, &batch); err != nil {
			b.Fatal(err)
		}
	}
}

// p99 posts one after the other, at least n times and while running is not done,
// and returns the time the slowest hundredth took.
func (c *client) p99(b *testing.B, n int, running chan error) time.Duration {
	b.Helper()
	var all []time.Duration
	for i := 0; i < n || running != nil; i++ {
		begin := time.Now()
		if _, err := c.publish(c.sys("thing/event/property/post"), fmt.Sprintf(`{"id":"1","params":{"n":%d}}`, i), 1); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(begin))
		select {
		case err := <-running:
			if err != nil {
				b.Fatal(err)
			}
			running = nil
		default:
		}
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}
