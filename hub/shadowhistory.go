// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/shadow"
	"github.com/openalink/iot/store"
)

// WatchShadow yields the shadow of a device as it is and after every change,
// until ctx or the hub ends. A slow reader sees every version, later, unless Trim
// was faster. When the device is deleted the last error wraps ErrUnknownDevice.
func (h *Hub) WatchShadow(ctx context.Context, id iot.DeviceID) iter.Seq2[*shadow.Document, error] {
	return func(yield func(*shadow.Document, error) bool) {
		w := shadowWatch{h: h, id: id}
		for ctx.Err() == nil {
			news := h.shadowNews.wait(true)
			now, err := h.Shadow(ctx, id)
			if err != nil {
				yield(nil, err)
				return
			}
			if !w.catchUp(ctx, now, yield) {
				return
			}
			select {
			case <-news:
			case <-h.closing:
				return
			case <-ctx.Done():
			}
		}
	}
}

// shadowWatch is how far a watcher is.
type shadowWatch struct {
	h    *Hub
	id   iot.DeviceID
	last *shadow.Document // yielded last; nil at the beginning
	from uint64           // place in the history behind it
}

// catchUp yields what lies between the last document and now, and now. It returns
// false when the reader has enough, or after an error.
func (w *shadowWatch) catchUp(ctx context.Context, now *shadow.Document, yield func(*shadow.Document, error) bool) bool {
	switch {
	case w.last == nil, now.Revision() < w.last.Revision(): // the first, or that of a new device of the name
		w.last = now
		return yield(now, nil)
	case now.Revision() > w.last.Revision()+1:
		// Its time is a hint: the clock may have been set back since. What is
		// missing then is looked for in all there is.
		for _, since := range []time.Time{w.last.Time().Add(-time.Second), {}} {
			if w.last.Revision()+1 < now.Revision() && !w.read(ctx, since, now.Revision(), yield) {
				return false
			}
		}
	}
	if now.Revision() > w.last.Revision() {
		w.last = now
		return yield(now, nil)
	}
	return true
}

// read yields the history since a time in its order, up to before a revision.
// With a time it stops where something is missing.
func (w *shadowWatch) read(ctx context.Context, since time.Time, end uint64, yield func(*shadow.Document, error) bool) bool {
	for rec, err := range w.h.store.ReadKey(ctx, streamShadows, w.id.String(), w.from, since, time.Time{}) {
		doc, err := decodeShadow(rec, err)
		if err != nil {
			yield(nil, err)
			return false
		}
		switch next := w.last.Revision() + 1; {
		case doc.Revision() < next:
			continue
		case doc.Revision() >= end:
			return true
		case doc.Revision() > next && !since.IsZero():
			return true
		}
		w.last, w.from = doc, rec.Offset+1
		if !yield(doc, nil) {
			return false
		}
	}
	return true
}

// ShadowHistory yields the versions of a shadow since a time, oldest first, as
// far as Limits.LogRetention keeps them. The last one up to a time is what the
// shadow was then. What a deleted device of the same name had is not part of it.
// The error wraps ErrUnknownDevice or is the store's.
func (h *Hub) ShadowHistory(ctx context.Context, id iot.DeviceID, since time.Time) iter.Seq2[*shadow.Document, error] {
	return func(yield func(*shadow.Document, error) bool) {
		d, err := h.Device(ctx, id)
		if err != nil {
			yield(nil, err)
			return
		}
		if created := d.Created.Truncate(time.Millisecond); since.Before(created) {
			since = created
		}
		for rec, err := range h.store.ReadKey(ctx, streamShadows, id.String(), 0, since, time.Time{}) {
			doc, err := decodeShadow(rec, err)
			if !yield(doc, err) || err != nil {
				return
			}
		}
	}
}

func decodeShadow(rec store.Record, err error) (*shadow.Document, error) {
	if err != nil {
		return nil, err
	}
	if len(rec.Value) == 0 || rec.Value[0] != recordFormat {
		return nil, fmt.Errorf("hub: shadow at %d: %w", rec.Offset, store.ErrFormat)
	}
	return shadow.Decode(rec.Value[1:])
}
