// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"runtime"
	"slices"
)

// packet builds a packet with a body that need not be right.
func packet(first byte, body []byte) []byte {
	b := []byte{first}
	n := len(body)
	for n > 0x7f {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(append(b, byte(n)), body...)
}

// replace returns a copy of b with another byte at i.
func replace(b []byte, i int, v byte) []byte {
	b = slices.Clone(b)
	b[i] = v
	return b
}

// allocated returns how many bytes this process allocated while f ran.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
