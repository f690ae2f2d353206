// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/openalink/iot/store"
)

// placeFormat is the first byte of stored places.
const placeFormat = 1

// A stored place is an offset, or zero for where the common reading was, which is
// stored beside: then thousands of idle rules cost no writes.
func placeKey(id string) []byte { return []byte("rules/place/" + id) }

func tailKey() []byte { return []byte("rules/tail") }

func encodePlace(offset uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{placeFormat}, offset)
}

func decodePlace(b []byte) (uint64, error) {
	if len(b) != 9 || b[0] != placeFormat {
		return 0, fmt.Errorf("rules: stored place: %w", store.ErrFormat)
	}
	return binary.BigEndian.Uint64(b[1:]), nil
}

// storedPlace returns where a rule goes on.
func (r *Runner) storedPlace(ctx context.Context, id string) (offset uint64, known bool, err error) {
	e, err := r.config.Store.Get(ctx, placeKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("rules: rule %s: %w", id, err)
	}
	offset, err = decodePlace(e.Value)
	return offset, err == nil, err
}

// resolve turns places that say "where the common reading was" into offsets, before
// this runner writes down where its own reading is.
func (r *Runner) resolve(ctx context.Context) error {
	e, err := r.config.Store.Get(ctx, tailKey())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rules: open: %w", err)
	}
	tail, err := decodePlace(e.Value)
	if err != nil {
		return err
	}
	var b store.Batch
	for e, err := range r.config.Store.Range(ctx, placeKey(""), []byte("rules/place0")) {
		if err != nil {
			return fmt.Errorf("rules: open: %w", err)
		}
		offset, err := decodePlace(e.Value)
		if err != nil {
			return err
		}
		if offset == 0 {
			b.Put(append([]byte{}, e.Key...), encodePlace(tail))
		}
	}
	if b.IsEmpty() {
		return nil
	}
	return store.Commit(ctx, r.config.Store, &b)
}

// written remembers what is stored of a rule, so that only changes are written.
type written struct {
	known  bool
	offset uint64
}

// flush writes down where rules are, in one batch with where the common reading
// is: together they are one moment. It looks at all rules, because a place that is
// stored as zero goes with the common reading. Runner.changes is held.
func (r *Runner) flush(ctx context.Context, more ...*running) error {
	list := append(r.durable(), more...)
	places := make([]written, len(list))
	var b store.Batch
	r.tail.mu.Lock()
	next := r.tail.next
	for i, ru := range list {
		offset, synced := ru.place()
		if synced {
			offset = 0
		}
		places[i] = written{true, offset}
		if places[i] != ru.written {
			b.Put(placeKey(ru.rule.ID), encodePlace(offset))
		}
	}
	r.tail.mu.Unlock()
	if b.IsEmpty() && next == r.flushed {
		return nil
	}
	b.Put(tailKey(), encodePlace(next))
	if err := store.Commit(ctx, r.config.Store, &b); err != nil {
		return fmt.Errorf("rules: writing places: %w", err)
	}
	r.flushed = next
	for i, ru := range list {
		ru.written = places[i]
	}
	return nil
}

// flushNowAndThen keeps what would be delivered twice after a crash small.
func (r *Runner) flushNowAndThen() {
	t := time.NewTicker(r.config.FlushEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-r.ctx.Done():
			return
		}
		r.changes.Lock()
		err := r.flush(r.ctx)
		r.changes.Unlock()
		if err != nil && r.ctx.Err() == nil {
			r.config.Logger.Error("rules: writing places", "error", err)
		}
	}
}

// durable lists the rules that have a place.
func (r *Runner) durable() []*running {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*running
	for _, ru := range r.rules {
		if ru.rule.Mode == AtLeastOnce {
			list = append(list, ru)
		}
	}
	return list
}
