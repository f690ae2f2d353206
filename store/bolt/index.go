// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"encoding/binary"
	"slices"
	"strings"
)

// The index of a segment: format(1), n(4), n starts(4), n entries. A start is
// where an entry begins in the index. Entries are in order of their keys: length
// of the key(2), key, and up to the next entry the offsets of its records as
// uvarints, each as the distance from the one before, the first from the
// segment's first offset.

// indexBuilder gathers the keys of a segment's records.
type indexBuilder struct {
	first uint64
	ids   map[string]int32
	names []string
	rows  []indexRow
	known span
}

type indexRow struct {
	id     int32 // into names
	offset uint64
}

func newIndexBuilder(first uint64) *indexBuilder {
	return &indexBuilder{first: first, ids: make(map[string]int32), known: emptySpan}
}

// add notes a record. Offsets must rise.
func (b *indexBuilder) add(offset uint64, milli int64, key []byte) {
	id, ok := b.ids[string(key)]
	if !ok {
		id = int32(len(b.names))
		name := string(key)
		b.names = append(b.names, name)
		b.ids[name] = id
	}
	b.rows = append(b.rows, indexRow{id, offset})
	b.known.add(offset, milli)
}

// encode returns the index.
func (b *indexBuilder) encode() []byte {
	order := make([]int32, len(b.names))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int { return strings.Compare(b.names[i], b.names[j]) })
	offsets, ends := b.byKey()

	starts := 5
	index := make([]byte, starts+4*len(order), starts+24*len(order)+2*len(b.rows))
	index[0] = format
	binary.BigEndian.PutUint32(index[1:], uint32(len(order)))
	for place, id := range order {
		binary.BigEndian.PutUint32(index[starts+4*place:], uint32(len(index)))
		index = binary.BigEndian.AppendUint16(index, uint16(len(b.names[id])))
		index = append(index, b.names[id]...)
		begin := 0
		if id > 0 {
			begin = ends[id-1]
		}
		before := b.first
		for _, offset := range offsets[begin:ends[id]] {
			index = binary.AppendUvarint(index, offset-before)
			before = offset
		}
	}
	return index
}

// byKey returns the offsets of key 0 in order, of key 1 and so on, and where
// those of each key end.
func (b *indexBuilder) byKey() (offsets []uint64, ends []int) {
	ends = make([]int, len(b.names))
	for _, r := range b.rows {
		ends[r.id]++
	}
	sum := 0
	for i, n := range ends {
		ends[i] = sum // filled below, up to where it ends
		sum += n
	}
	offsets = make([]uint64, len(b.rows))
	for _, r := range b.rows {
		offsets[ends[r.id]] = r.offset
		ends[r.id]++
	}
	return offsets, ends
}

// lookup returns the distances of key's records in index, none when it has no
// such key.
func lookup(index []byte, key string) (deltas []byte, err error) {
	if len(index) == 0 || index[0] != format {
		return nil, errFormat("index", index)
	}
	if len(index) < 5 {
		return nil, errDamaged
	}
	n := int(binary.BigEndian.Uint32(index[1:]))
	if n < 0 || n > (len(index)-5)/6 { // an entry has 6 bytes at least
		return nil, errDamaged
	}
	low, high := 0, n
	for low < high {
		mid := (low + high) / 2
		name, rest, err := indexEntry(index, n, mid)
		if err != nil {
			return nil, err
		}
		switch strings.Compare(key, string(name)) {
		case 0:
			return rest, nil
		case -1:
			high = mid
		default:
			low = mid + 1
		}
	}
	return nil, nil
}

// indexEntry returns the key of entry i of n, and the bytes after it.
func indexEntry(index []byte, n, i int) (name, rest []byte, err error) {
	start := int(binary.BigEndian.Uint32(index[5+4*i:]))
	end := len(index)
	if i+1 < n {
		end = int(binary.BigEndian.Uint32(index[9+4*i:]))
	}
	if start < 0 || start > end || end > len(index) || end-start < 2 {
		return nil, nil, errDamaged
	}
	entry := index[start:end]
	size := int(binary.BigEndian.Uint16(entry))
	if size > len(entry)-2 {
		return nil, nil, errDamaged
	}
	return entry[2 : 2+size], entry[2+size:], nil
}

// nextOffset reads one distance. It reports false at the end.
func nextOffset(before uint64, deltas []byte) (offset uint64, rest []byte, ok bool) {
	delta, n := binary.Uvarint(deltas)
	if n <= 0 {
		return 0, nil, false
	}
	return before + delta, deltas[n:], true
}
