// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// BenchmarkShadowOneWriter is one application that waits for each change. Bar:
// p50 at most 2.5 times that of a bare write and fdatasync.
func BenchmarkShadowOneWriter(b *testing.B) {
	b.Run("Hub", func(b *testing.B) {
		h, _ := openFleet(b, true)
		b.ReportAllocs()
		b.ResetTimer()
		reportUpdates(b, concurrently(b, 1, b.N, func(i int) error {
			_, err := h.UpdateShadow(context.Background(), fleetID(i), wishOf(b, i), 0)
			return err
		}))
	})
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
