// SPDX-License-Identifier: Apache-2.0

package hub

import "unsafe"

// arena hands out byte slices that live until the batch is done. Blocks never
// move, so slices and strings into them stay valid while it grows.
type arena struct {
	block []byte   // current block; its length is what is handed out
	full  [][]byte // earlier blocks
}

const arenaBlock = 64 << 10

// grab returns an empty slice with capacity n.
func (a *arena) grab(n int) []byte {
	if cap(a.block)-len(a.block) < n {
		if a.block != nil {
			a.full = append(a.full, a.block)
		}
		a.block = make([]byte, 0, max(n, arenaBlock))
	}
	at := len(a.block)
	a.block = a.block[:at+n]
	return a.block[at : at : at+n]
}

// reset forgets what was handed out and keeps one block.
func (a *arena) reset() {
	clear(a.full)
	a.full = a.full[:0]
	if cap(a.block) > arenaBlock {
		a.block = nil
	}
	a.block = a.block[:0]
}

// text views b, which must not change any more, as a string.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
