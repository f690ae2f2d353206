// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

// TestMillionShadows opens a file with a million devices and shadows. With
// LARGE=1 only: it writes about 1.5 GB.
func TestMillionShadows(t *testing.T) {
	if os.Getenv("LARGE") == "" {
		t.Skip("LARGE=1 runs it")
	}
	const n, reads = 1_000_000, 200_000
	path := filepath.Join(t.TempDir(), "hub.db")
	fillShadows(t, path, n)
	before := heapInUse()
	began := time.Now()
	h, closeAll := openLarge(t, path)
	opened := time.Since(began)
	afterOpen := heapInUse()
	rnd := rand.New(rand.NewPCG(1, 2))
	began = time.Now()
	for range reads {
		if doc, err := h.Shadow(t.Context(), largeID(rnd.IntN(n))); err != nil || doc.Revision() != 1 {
			t.Fatal(err)
		}
	}
	read := time.Since(began) / reads
	afterReads := heapInUse()
	closeAll()
	t.Logf("opened in %v, read in %v each, heap %d KiB before, %d open, %d after %d reads", opened, read, before>>10, afterOpen>>10, afterReads>>10, reads)
	if opened > 2*time.Second || read > 50*time.Microsecond {
		t.Errorf("opened in %v, want at most 2 s; read in %v, want at most 50 µs", opened, read)
	}
	if afterReads > before+16<<20 {
		t.Errorf("%d MiB more in memory", (afterReads-before)>>20)
	}
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

func largeID(i int) iot.DeviceID {
	return iot.DeviceID{Product: "a1Large0001", Name: fmt.Sprintf("device-%07d", i)}
}

func openLarge(t *testing.T, path string) (*hub.Hub, func()) {
	t.Helper()
	st, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := hub.Open(t.Context(), hub.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	return h, func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// fillShadows writes copies of one device and its shadow, keys in order.
func fillShadows(t *testing.T, path string, n int) {
	t.Helper()
	h, closeAll := openLarge(t, path)
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: largeID(0).Product}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RegisterDevice(t.Context(), hub.Device{ID: largeID(0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.UpdateShadow(t.Context(), largeID(0), reportOf(t, 1), 0); err != nil {
		t.Fatal(err)
	}
	closeAll()
	st, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, prefix := range []string{"d/", "w/"} {
		e, err := st.Get(t.Context(), []byte(prefix+largeID(0).String()))
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < n; {
			var batch store.Batch
			for ; i < n && len(batch.Writes) < 10_000; i++ {
				batch.Put([]byte(prefix+largeID(i).String()), e.Value)
			}
			if err := store.Commit(t.Context(), st, &batch); err != nil {
				t.Fatal(err)
			}
		}
	}
}
