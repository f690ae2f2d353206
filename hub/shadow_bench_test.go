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
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
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

// openFleet returns a hub on a store of its own where every device has a shadow
// and, unless away, is connected and takes everything.
func openFleet(b *testing.B, away bool) (*hub.Hub, *bolt.Engine) {
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
		d, err := h.RegisterDevice(context.Background(), hub.Device{ID: fleetID(i)})
		if err != nil {
			return err
		}
		if !away {
			tr := auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{ServerSubscribe: true})
			_, err := h.Connect(context.Background(), &hal.ConnectRequest{
				Protocol: "mqtt", Version: 4, ClientID: tr.ClientID, UserName: tr.UserName,
				Credential: auth.NewPassword(tr.Password.Reveal()), KeepAlive: time.Minute, CleanSession: true, Link: deaf{},
			})
			if err != nil {
				return err
			}
		}
		_, err = h.UpdateShadow(context.Background(), fleetID(i), reportOf(b, 0), 0)
		return err
	})
	return h, st
}

// deaf is a link that takes everything.
type deaf struct{}

func (deaf) Send(_ context.Context, _ hal.Delivery, done func(error)) { done(nil) }
func (deaf) Close(hal.Cause)                                          {}

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

// reportOf is a report of ten members, as a business server writes it.
func reportOf(b testing.TB, n int) *shadow.Request {
	text := fmt.Appendf(nil, `{"method":"update","state":{"reported":{"n":%d`, n)
	for i := range 9 {
		text = fmt.Appendf(text, `,"a%d":%d`, i, n+i)
	}
	r, err := shadow.ParseRequest(append(text, `}}}`...))
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkShadow64 is durable updates of 64 writers, each waiting for its own.
// Batch is bbolt's own way to group writers, with nothing but the put of the same
// document. Bars for Reported: at least 5 times its rate, p99 at most 0.4 of its.
// Desired does more than one put: it also keeps the message for the device. A
// device that is away is read from the store for each update.
func BenchmarkShadow64(b *testing.B) {
	b.Run("Reported", func(b *testing.B) { shadow64(b, false, reportOf) })
	b.Run("ReportedAway", func(b *testing.B) { shadow64(b, true, reportOf) })
	b.Run("Desired", func(b *testing.B) { shadow64(b, false, wishOf) })
	b.Run("DesiredAway", func(b *testing.B) { shadow64(b, true, wishOf) })
	b.Run("Batch", func(b *testing.B) {
		db, put := openBare(b)
		b.ReportAllocs()
		b.ResetTimer()
		reportUpdates(b, concurrently(b, 64, b.N, func(i int) error {
			return db.Batch(func(tx *bbolt.Tx) error { return put(tx, i) })
		}))
	})
}

func shadow64(b *testing.B, away bool, request func(testing.TB, int) *shadow.Request) {
	h, st := openFleet(b, away)
	before := st.Stats()
	b.ReportAllocs()
	b.ResetTimer()
	took := concurrently(b, 64, b.N, func(i int) error {
		_, err := h.UpdateShadow(context.Background(), fleetID(i), request(b, i), 0)
		return err
	})
	reportUpdates(b, took)
	after := st.Stats()
	groups := float64(after.Groups - before.Groups)
	b.ReportMetric(float64(b.N)/groups, "updates/group")
	b.ReportMetric((after.CommitTime-before.CommitTime).Seconds()/b.Elapsed().Seconds(), "busy")
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
