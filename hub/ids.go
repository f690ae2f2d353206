// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/store"
)

// ids makes platform message ids: positive, rising, 19 digits like those of the
// cloud. The upper bits are milliseconds, so an id tells about when it was made.
//
// They rise over restarts too, whatever the clock does: a ceiling above all ids
// handed out is kept in the store, and a new run starts there.
type ids struct {
	last    atomic.Int64
	ceiling atomic.Int64
	raise   func(ceiling int64) // stores a new ceiling, without waiting
}

const (
	idBits = 20
	// idBlock is how far the stored ceiling is ahead, in ids: a minute. A run
	// that ended without Close starts that much ahead of the clock at most.
	idBlock = int64(time.Minute/time.Millisecond) << idBits
)

func (g *ids) next(now time.Time) int64 {
	floor := now.UnixMilli() << idBits
	for {
		last := g.last.Load()
		id := max(last+1, floor)
		if !g.last.CompareAndSwap(last, id) {
			continue
		}
		if ceiling := g.ceiling.Load(); id > ceiling-idBlock/2 && g.ceiling.CompareAndSwap(ceiling, id+idBlock) {
			g.raise(id + idBlock)
		}
		return id
	}
}

// idTime is about when an id was made: exact unless the clock stepped back or
// the hub was restarted without Close shortly before.
func idTime(id int64) time.Time { return time.UnixMilli(id >> idBits) }

var keyIDs = []byte("m/ids")

func encodeCeiling(id int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{recordFormat}, uint64(id))
}

// loadIDs starts above every id of earlier runs.
func (h *Hub) loadIDs(ctx context.Context) error {
	h.ids.raise = func(ceiling int64) {
		h.shards[0].post(func(b *batch) { b.st.Put(keyIDs, encodeCeiling(ceiling)) })
	}
	e, err := h.store.Get(ctx, keyIDs)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case len(e.Value) != 9 || e.Value[0] != recordFormat:
		return fmt.Errorf("hub: message id ceiling: %w", store.ErrFormat)
	}
	h.ids.last.Store(int64(binary.BigEndian.Uint64(e.Value[1:])))
	return nil
}

// saveIDs lowers the ceiling to what was handed out; nothing is any more.
func (h *Hub) saveIDs(ctx context.Context) error {
	var b store.Batch
	b.Put(keyIDs, encodeCeiling(h.ids.last.Load()))
	return store.Commit(ctx, h.store, &b)
}
