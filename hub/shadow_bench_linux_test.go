// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/openalink/iot/shadow"
)

// BenchmarkShadowOneWriter is one application that waits for each change. Bar for
// Reported: p50 at most 2.5 times that of a bare write and fdatasync. Behind a wish
// the next one may wait: the store also notes that the device has it.
func BenchmarkShadowOneWriter(b *testing.B) {
	b.Run("Reported", func(b *testing.B) { shadowOne(b, reportOf) })
	b.Run("Desired", func(b *testing.B) { shadowOne(b, wishOf) })
	b.Run("BareSync", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		page := make([]byte, 4096)
		b.ResetTimer()
		reportUpdates(b, concurrently(b, 1, b.N, func(int) error {
			if _, err := f.Write(page); err != nil {
				return err
			}
			return syscall.Fdatasync(int(f.Fd()))
		}))
	})
}

func shadowOne(b *testing.B, request func(testing.TB, int) *shadow.Request) {
	h, _ := openFleet(b, false)
	b.ReportAllocs()
	b.ResetTimer()
	reportUpdates(b, concurrently(b, 1, b.N, func(i int) error {
		_, err := h.UpdateShadow(context.Background(), fleetID(i), request(b, i), 0)
		return err
	}))
}
