// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

const devices = 100

// keysOf names the devices: every distance-th of 50,000.
func keysOf(distance int) (k [devices]string) {
	for i := range k {
		k[i] = fmt.Sprintf("pk/dn%05d", i*distance)
	}
	return k
}

var keys = keysOf(1)

// fillDevices puts the state of 50,000 devices, as a platform in use has them.
func fillDevices(b *testing.B, e store.Engine) {
	b.Helper()
	state := make([]byte, 400)
	for i := 0; i < 50000; {
		var batch store.Batch
		for ; len(batch.Writes) < 5000; i++ {
			batch.Put(fmt.Appendf(nil, "pk/dn%05d", i), state)
		}
		if err := store.Commit(b.Context(), e, &batch); err != nil {
			b.Fatal(err)
		}
	}
}

// batcher makes batches as a worker of the platform does: n messages, each one
// append, and one put for each device they touch.
type batcher struct {
	batch   store.Batch
	keys    [devices]string
	touched [devices]bool
	next    int
	message []byte
	state   []byte
}

func newBatcher(first int) *batcher {
	return &batcher{keys: keys, next: first, message: make([]byte, 480), state: make([]byte, 400)}
}

func (p *batcher) fill(n int, now time.Time) *store.Batch {
	p.batch.Reset()
	p.touched = [devices]bool{}
	for range n {
		d := p.next % devices
		p.next += 7
		p.batch.Append("messages", p.keys[d], now, p.message)
		if !p.touched[d] {
			p.touched[d] = true
			p.batch.Put([]byte(p.keys[d]), p.state)
		}
	}
	return &p.batch
}

// BenchmarkIngest is the load of a busy platform: two workers with batches of 64
// messages. An op is a message.
func BenchmarkIngest(b *testing.B) {
	e := open(b, bolt.Options{})
	fillDevices(b, e)
	const producers, size, ahead = 2, 64, 64
	b.ReportAllocs()
	b.SetBytes(480)
	before := e.Stats()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for i := range producers {
		all.Go(func() {
			free := make(chan *batcher, ahead)
			for range ahead {
				free <- newBatcher(i * 50)
			}
			for left.Add(-size) > -size {
				p := <-free
				err := e.Submit(context.Background(), p.fill(size, time.Now()), func(err error) {
					if err != nil {
						b.Error(err)
					}
					free <- p
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
			for range ahead {
				<-free
			}
		})
	}
	all.Wait()
	b.StopTimer()
	after := e.Stats()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(after.Appends-before.Appends)/float64(after.Groups-before.Groups), "appends/group")
	b.ReportMetric((after.CommitTime-before.CommitTime).Seconds()/b.Elapsed().Seconds(), "busy")
}

// BenchmarkPut64 compares durable puts of 64 writers, each waiting for its own,
// with bbolt's DB.Batch. Both begin with the same 10,000 keys.
func BenchmarkPut64(b *testing.B) {
	b.Run("Engine", func(b *testing.B) {
		e := open(b, bolt.Options{})
		var all store.Batch
		for i := range 10000 {
			all.Put(put64Key(i), make([]byte, 100))
		}
		if err := store.Commit(b.Context(), e, &all); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		put64(b, func(key, value []byte) error {
			var batch store.Batch
			batch.Put(key, value)
			return store.Commit(context.Background(), e, &batch)
		})
		b.ReportMetric(float64(e.Stats().Batches)/float64(e.Stats().Groups), "puts/group")
		b.ReportMetric(e.Stats().CommitTime.Seconds()/b.Elapsed().Seconds(), "busy")
	})
	b.Run("DBBatch", func(b *testing.B) {
		db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		err = db.Update(func(tx *bbolt.Tx) error {
			kv, err := tx.CreateBucket([]byte("kv"))
			for i := 0; err == nil && i < 10000; i++ {
				err = kv.Put(put64Key(i), make([]byte, 100))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		put64(b, func(key, value []byte) error {
			return db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("kv")).Put(key, value) })
		})
	})
}

func put64Key(i int) []byte { return fmt.Appendf(nil, "key %06d", i*7919%10000) }

func put64(b *testing.B, put func(key, value []byte) error) {
	b.ResetTimer()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			value := make([]byte, 100)
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := put(put64Key(int(i)), value); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkBareIngest is what bbolt alone takes for the work of BenchmarkIngest, in
// transactions of 4096 appends and 100 puts.
func BenchmarkBareIngest(b *testing.B) {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{
		PageSize: 4096, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.AllocSize = 64 << 20
	message, state := make([]byte, 480), make([]byte, 409)
	b.ReportAllocs()
	b.SetBytes(480)
	b.ResetTimer()
	for done := 0; done < b.N; done += 4096 {
		err := db.Update(func(tx *bbolt.Tx) error {
			kv, err := tx.CreateBucketIfNotExists([]byte("kv"))
			if err != nil {
				return err
			}
			log, err := tx.CreateBucketIfNotExists([]byte("log"))
			if err != nil {
				return err
			}
			log.FillPercent = 1
			for _, key := range keys {
				if err := kv.Put([]byte(key), state); err != nil {
					return err
				}
			}
			var key []byte
			for i := range 4096 {
				key = binary.BigEndian.AppendUint64(key[:0], uint64(done+i+1))
				key = append(append(key, "8 of time."...), keys[i%devices]...)
				if err := log.Put(key, message); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

func reportP50(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

// BenchmarkReadKey reads the last minute of one device out of a long history.
func BenchmarkReadKey(b *testing.B) {
	e := open(b, bolt.Options{})
	const n = 100000
	p := newBatcher(0)
	for i := 0; i < n; i += 1000 {
		if err := store.Commit(b.Context(), e, p.fill(1000, time.UnixMilli(int64(i)))); err != nil {
			b.Fatal(err)
		}
	}
	e.WaitIndexed()
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		for _, err := range e.ReadKey(b.Context(), "messages", keys[3], 0, time.UnixMilli(20000), time.UnixMilli(30000)) {
			if err != nil {
				b.Fatal(err)
			}
			found++
		}
		if found == 0 {
			b.Fatal("no records")
		}
	}
}

// BenchmarkRead walks a stream from its start. An op is a record.
func BenchmarkRead(b *testing.B) {
	e := open(b, bolt.Options{})
	p := newBatcher(0)
	for range 50 {
		if err := store.Commit(b.Context(), e, p.fill(1000, time.Now())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		for _, err := range e.Read(b.Context(), "messages", 0) {
			if err != nil {
				b.Fatal(err)
			}
			if left--; left == 0 {
				break
			}
		}
	}
}

func BenchmarkGet(b *testing.B) {
	e := open(b, bolt.Options{})
	fillDevices(b, e)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := e.Get(b.Context(), []byte(keys[i%devices])); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
