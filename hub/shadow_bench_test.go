// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/shadow"
	"github.com/openalink/iot/store/bolt"
)

// shadowFleet is how many devices the benchmarks have shadows of.
const shadowFleet = 1000

func fleetID(i int) iot.DeviceID {
	return iot.DeviceID{Product: "a1Bench0001", Name: fmt.Sprintf("device-%04d", i*7919%shadowFleet)}
}

// wishOf is a wish of ten members.
func wishOf(b testing.TB, n int) *shadow.Request {
	text := []byte(`{"n":` + fmt.Sprint(n))
	for i := range 9 {
		text = fmt.Appendf(text, `,"a%d":%d`, i, n+i)
	}
	r, err := shadow.Update(append(text, '}'))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// openFleet returns a hub on a store of its own where every device has a shadow.
func openFleet(b *testing.B) *hub.Hub {
	b.Helper()
	st, err := bolt.Open(filepath.Join(b.TempDir(), "hub.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	limits := hub.NoLimits()
	h, err := hub.Open(b.Context(), hub.Config{Store: st, Limits: &limits})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = h.Close()
		_ = st.Close()
	})
	if _, err := h.CreateProduct(b.Context(), hub.Product{Key: fleetID(0).Product}); err != nil {
		b.Fatal(err)
	}
	concurrently(b, 64, shadowFleet, func(i int) error {
		if _, err := h.RegisterDevice(context.Background(), hub.Device{ID: fleetID(i)}); err != nil {
			return err
		}
		_, err := h.UpdateShadow(context.Background(), fleetID(i), wishOf(b, 0), 0)
		return err
	})
	return h
}

// concurrently calls f n times from writers at once and returns what each took.
func concurrently(b testing.TB, writers, n int, f func(i int) error) []time.Duration {
	var next atomic.Int64
	var all sync.WaitGroup
	took := make([]time.Duration, n)
	for range writers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				began := time.Now()
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	all.Wait()
	return took
}

func reportUpdates(b *testing.B, took []time.Duration) {
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "updates/s")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

// BenchmarkShadow64 is durable updates of 64 writers, each waiting for its own.
// Batch is bbolt's own way to group writers, with nothing but the put of the same
// document. Bars: at least 5 times its rate, p99 at most 0.4 of its.
func BenchmarkShadow64(b *testing.B) {
	b.Run("Hub", func(b *testing.B) {
		h := openFleet(b)
		b.ReportAllocs()
		b.ResetTimer()
		took := concurrently(b, 64, b.N, func(i int) error {
			_, err := h.UpdateShadow(context.Background(), fleetID(i), wishOf(b, i), 0)
			return err
		})
		reportUpdates(b, took)
	})
	b.Run("Batch", func(b *testing.B) {
		db, put := openBare(b)
		b.ReportAllocs()
		b.ResetTimer()
		reportUpdates(b, concurrently(b, 64, b.N, func(i int) error {
			return db.Batch(func(tx *bbolt.Tx) error { return put(tx, i) })
		}))
	})
}

// openBare opens a database of bbolt where every device has a document as long
// as the hub's, and returns what puts one.
func openBare(b *testing.B) (*bbolt.DB, func(tx *bbolt.Tx, i int) error) {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	d := &shadow.Document{}
	rules := shadow.DefaultRules()
	if err := d.Apply(wishOf(b, 0), shadow.Application, time.Now(), &rules); err != nil {
		b.Fatal(err)
	}
	doc := []byte(strings.Repeat("x", len(d.Append(nil))))
	put := func(tx *bbolt.Tx, i int) error {
		return tx.Bucket([]byte("kv")).Put([]byte(fleetID(i).String()), doc)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("kv"))
		for i := 0; err == nil && i < shadowFleet; i++ {
			err = put(tx, i)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return db, put
}
