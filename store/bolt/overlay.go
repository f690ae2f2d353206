// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"

	bbolt "go.etcd.io/bbolt"

	"github.com/openalink/iot/store"
)

// overlay gathers the writes of a group over the kv bucket: the last one of a
// key is the one that is written.
type overlay struct {
	kv     *bbolt.Bucket
	writes []pending
	byHash map[uint64]int // hash of a key: 1 + its place in writes
	seed   maphash.Seed
	arena  []byte // of values as they are stored
}

type pending struct {
	key, value []byte // the batch's memory
	revision   uint64
	deleted    bool
	next       int // of the same hash: 1 + its place in writes
}

func newOverlay() overlay {
	return overlay{byHash: make(map[uint64]int), seed: maphash.MakeSeed()}
}

// reset empties the overlay and puts it over kv. It keeps memory, within bounds.
func (o *overlay) reset(kv *bbolt.Bucket) {
	const keep = 4 << 20
	clear(o.writes)
	clear(o.byHash)
	o.kv, o.writes, o.arena = kv, o.writes[:0], o.arena[:0]
	if cap(o.arena) > keep {
		o.arena = nil
	}
}

// find returns the pending write of key, or nil.
func (o *overlay) find(key []byte) (p *pending, hash uint64) {
	hash = maphash.Bytes(o.seed, key)
	for i := o.byHash[hash]; i > 0; i = p.next {
		p = &o.writes[i-1]
		if bytes.Equal(p.key, key) {
			return p, hash
		}
	}
	return nil, hash
}

// revision returns the revision key has now, 0 if there is none.
func (o *overlay) revision(key []byte) (uint64, error) {
	if len(o.writes) > 0 {
		if p, _ := o.find(key); p != nil {
			if p.deleted {
				return 0, nil
			}
			return p.revision, nil
		}
	}
	stored := o.kv.Get(key)
	if stored == nil {
		return 0, nil
	}
	_, revision, err := decodeValue(stored)
	return revision, err
}

func (o *overlay) put(w *store.Write, revision uint64) {
	p, hash := o.find(w.Key)
	if p == nil {
		o.writes = append(o.writes, pending{next: o.byHash[hash]})
		o.byHash[hash] = len(o.writes)
		p = &o.writes[len(o.writes)-1]
	}
	p.key, p.value, p.revision, p.deleted = w.Key, w.Value, revision, w.Delete
}

// flush writes everything to the bucket, in key order.
func (o *overlay) flush(kv *bbolt.Bucket, revision uint64) error {
	if len(o.writes) == 0 {
		return nil
	}
	slices.SortFunc(o.writes, func(a, b pending) int { return bytes.Compare(a.key, b.key) })
	for i := range o.writes {
		if err := o.write(kv, &o.writes[i]); err != nil {
			return err
		}
	}
	return kv.SetSequence(revision)
}

func (o *overlay) write(kv *bbolt.Bucket, p *pending) error {
	if p.deleted {
		return kv.Delete(p.key)
	}
	// bbolt reads the value when it commits. An arena that grows leaves the values
	// before in its old memory.
	start := len(o.arena)
	o.arena = append(o.arena, format)
	o.arena = binary.BigEndian.AppendUint64(o.arena, p.revision)
	o.arena = append(o.arena, p.value...)
	return kv.Put(p.key, o.arena[start:])
}

// decodeValue splits a stored value. The value stays in the memory of stored.
func decodeValue(stored []byte) (value []byte, revision uint64, err error) {
	if len(stored) == 0 || stored[0] != format {
		return nil, 0, errFormat("value", stored)
	}
	if len(stored) < 9 {
		return nil, 0, errDamaged
	}
	return stored[9:], binary.BigEndian.Uint64(stored[1:]), nil
}
