// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/openalink/iot/store"
)

// place is how far a group is: everything below next is done, and of what is above
// the offsets in done, which rise.
type place struct {
	next uint64
	done []uint64
}

const placeFormat = 1

func (p place) encode() []byte {
	b := binary.AppendUvarint([]byte{placeFormat}, p.next)
	b = binary.AppendUvarint(b, uint64(len(p.done)))
	last := p.next
	for _, offset := range p.done {
		b = binary.AppendUvarint(b, offset-last)
		last = offset
	}
	return b
}

func decodePlace(b []byte) (p place, err error) {
	if len(b) == 0 || b[0] != placeFormat {
		return p, store.ErrFormat
	}
	b = b[1:]
	read := func() (n uint64) {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			err = fmt.Errorf("cut off: %w", store.ErrFormat)
			return 0
		}
		b = b[size:]
		return n
	}
	p.next = read()
	last := p.next
	for n := read(); n > 0 && err == nil; n-- {
		last += read()
		p.done = append(p.done, last)
	}
	return p, err
}

// has reports whether an offset is done.
func (p place) has(offset uint64) bool {
	if offset < p.next {
		return true
	}
	_, found := slices.BinarySearch(p.done, offset)
	return found
}
