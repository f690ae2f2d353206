// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"bytes"
	"time"

	"github.com/openalink/iot/store"
)

// overhead is what a key or record costs beside its bytes, about.
const overhead = 128

// apply does all of b or nothing. The caller holds mu.
func (e *Engine) apply(b *store.Batch) error {
	for _, c := range b.Checks {
		if e.revisionOf(c.Key) != c.Revision {
			return store.ErrConflict
		}
	}
	if e.max > 0 {
		if growth := e.growth(b); growth > 0 && e.size+growth > e.max {
			return ErrFull
		}
	}
	if len(b.Writes) > 0 {
		e.revision++
	}
	for i := range b.Writes {
		e.write(&b.Writes[i])
	}
	for i := range b.Appends {
		e.append(&b.Appends[i])
	}
	return nil
}

func (e *Engine) revisionOf(key []byte) uint64 {
	if n := e.keys.get(key); n != nil {
		return n.revision
	}
	return 0
}

// growth is how many bytes b adds, or a little more when it writes a key twice.
func (e *Engine) growth(b *store.Batch) int64 {
	var sum int64
	for i := range b.Writes {
		w := &b.Writes[i]
		if n := e.keys.get(w.Key); n != nil {
			sum -= n.size()
		}
		if !w.Delete {
			sum += int64(len(w.Key) + len(w.Value) + overhead)
		}
	}
	for i := range b.Appends {
		a := &b.Appends[i]
		sum += int64(len(a.Key) + len(a.Value) + overhead)
	}
	return sum
}

func (e *Engine) write(w *store.Write) {
	if w.Delete {
		if n := e.keys.remove(w.Key); n != nil {
			e.size -= n.size()
		}
		return
	}
	n, old := e.keys.put(w.Key)
	if old {
		e.size -= n.size()
	}
	n.value, n.revision = bytes.Clone(w.Value), e.revision
	e.size += n.size()
}

func (e *Engine) append(a *store.Append) {
	s := e.streams[a.Stream]
	if s == nil {
		s = new(stream)
		e.streams[a.Stream] = s
	}
	s.last++
	r := store.Record{
		Offset: s.last,
		Key:    a.Key,
		Time:   time.UnixMilli(a.Time.UnixMilli()).UTC(),
		Value:  bytes.Clone(a.Value),
	}
	s.records = append(s.records, r)
	e.size += recordSize(&r)
}
