// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/binary"
	"slices"
	"strings"
)

// reader takes a binary record apart. After the first short read bad is set and
// everything reads as zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes() []byte {
	n, used := binary.Uvarint(r.b)
	if used <= 0 || n > uint64(len(r.b)-used) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[used : used+int(n)]
	r.b = r.b[used+int(n):]
	return out
}

func (r *reader) varint() int64 {
	v, used := binary.Varint(r.b)
	if used <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[used:]
	return v
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

func compareText(a, b string) int { return strings.Compare(a, b) }
