// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

// BenchmarkOneWriter compares the latency of one writer that waits for each
// commit with a bare write and fdatasync of 4 KiB.
func BenchmarkOneWriter(b *testing.B) {
	b.Run("Engine", func(b *testing.B) {
		e := open(b, bolt.Options{})
		value := make([]byte, 400)
		took := make([]time.Duration, 0, b.N)
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			began := time.Now()
			var batch store.Batch
			batch.Put([]byte(keys[i%devices]), value)
			batch.Append("messages", keys[i%devices], began, value)
			if err := store.Commit(context.Background(), e, &batch); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		reportP50(b, took)
	})
	b.Run("BareSync", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		page := make([]byte, 4096)
		took := make([]time.Duration, 0, b.N)
		b.ResetTimer()
		for range b.N {
			began := time.Now()
			if _, err := f.Write(page); err != nil {
				b.Fatal(err)
			}
			if err := syscall.Fdatasync(int(f.Fd())); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		reportP50(b, took)
	})
}

// BenchmarkBytesWritten has 10,000 messages a second from 100 devices and counts
// what goes to the disk for each. An op is a message: one append and one put. Of
// devices that are neighbours several share a page, of others each put is a page.
func BenchmarkBytesWritten(b *testing.B) {
	b.Run("Neighbours", func(b *testing.B) { bytesWritten(b, keysOf(1)) })
	b.Run("Spread", func(b *testing.B) { bytesWritten(b, keysOf(499)) })
}

func bytesWritten(b *testing.B, keys [devices]string) {
	const interval = time.Second / 10000
	e := open(b, bolt.Options{})
	fillDevices(b, e)
	var all sync.WaitGroup
	took := make([]time.Duration, b.N)
	free := make(chan *batcher, 2000)
	for i := range cap(free) {
		p := newBatcher(i)
		p.keys = keys
		free <- p
	}
	before, groups := written(b), e.Stats().Groups
	b.ResetTimer()
	start := time.Now()
	for i := range b.N {
		due := start.Add(time.Duration(i) * interval)
		if d := time.Until(due); d > 0 {
			time.Sleep(d)
		}
		p := <-free
		p.next = i
		all.Add(1)
		err := e.Submit(context.Background(), p.fill(1, due), func(err error) {
			if err != nil {
				b.Error(err)
			}
			took[i] = time.Since(due)
			free <- p
			all.Done()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(written(b)-before)/float64(b.N), "written-B/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(e.Stats().Groups-groups)/b.Elapsed().Seconds(), "groups/s")
	reportP50(b, took)
}

// written returns the bytes this process has sent to disks.
func written(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	var values [7]int64
	_, err = fmt.Sscanf(string(text), "rchar: %d\nwchar: %d\nsyscr: %d\nsyscw: %d\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: %d",
		&values[0], &values[1], &values[2], &values[3], &values[4], &values[5], &values[6])
	if err != nil {
		b.Skip(err)
	}
	return values[5]
}
