// SPDX-License-Identifier: Apache-2.0

package coap

// window lets each sequence number through once. Numbers rise by one from request
// to request; one that overtook others on the way leaves them windowSize numbers
// of room (as RFC 6347 section 4.1.2.6).
type window struct {
	next uint64 // the highest number seen, plus one
	seen uint64 // bit n: next-1-n was seen
}

const windowSize = 64

// fresh reports whether n may be taken.
func (w *window) fresh(n uint64) bool {
	if n >= w.next {
		return n+1 != 0
	}
	back := w.next - 1 - n
	return back < windowSize && w.seen&(1<<back) == 0
}

// take notes a fresh n.
func (w *window) take(n uint64) {
	if n < w.next {
		w.seen |= 1 << (w.next - 1 - n)
		return
	}
	w.seen = w.seen<<(n+1-w.next) | 1 // shifts beyond 63 leave nothing
	w.next = n + 1
}
