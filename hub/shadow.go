// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/shadow"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
)

// streamShadows holds every version of every shadow, for history and watching.
const streamShadows = "shadows"

// ErrConflict means that a condition on the present state did not hold.
var ErrConflict = errors.New("hub: changed meanwhile")

// shadow serves /shadow/update/{pk}/{dn}: it changes the document and answers on
// /shadow/get (wire facts section 14).
func (sh *shard) shadow(b *batch, s *session, m *iot.Message, r *result) error {
	h, d := sh.h, s.d
	if h.rates.shadow.takeShared(&d.shadows, b.now.UnixNano(), 1) > 0 {
		s.overran(b.now.UnixNano(), m, "shadow requests a second; not answered")
		return &hal.RejectedError{Err: ErrThrottled}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := h.loadShadow(h.ctx, d); err != nil {
		return err
	}
	req, err := shadow.ParseRequest(m.Payload)
	if err == nil {
		err = d.shadow.Apply(req, shadow.Device, b.now, &h.shadows)
	}
	if err != nil {
		b.settle(d)
		sh.answerShadow(b, s, shadow.AppendError(nil, req, err, b.now))
		h.log(LogEntry{
			MessageID: r.id, Device: d.id, Kind: Upstream, Operation: OpHandle, Status: Failure,
			Cause: CauseAnswer, Topic: cloneTopic(m.Topic), Detail: err.Error(),
		})
		r.topic = ""
		return nil
	}
	b.record(d, "", r.id, m, m.Payload)
	if req.Method != "get" {
		b.keepShadow(d)
		h.freshenControl(b, d)
	}
	sh.answerShadow(b, s, d.shadow.AppendReply(nil, req, b.now))
	return nil
}

func (sh *shard) answerShadow(b *batch, s *session, payload []byte) {
	name := topic.Shadow("get", s.d.id)
	if _, ok := s.subs.Load().wants(name, true); ok {
		b.answer([]byte(name), payload)
	}
}

// loadShadow reads the document once; the device's lock is held.
func (h *Hub) loadShadow(ctx context.Context, d *device) (err error) {
	if d.shadow == nil {
		d.shadow, err = h.readShadow(ctx, d.id)
	}
	return err
}

// readShadow reads the document as it is durable.
func (h *Hub) readShadow(ctx context.Context, id iot.DeviceID) (*shadow.Document, error) {
	e, err := h.store.Get(ctx, deviceKey(prefixShadow, id))
	if errors.Is(err, store.ErrNotFound) {
		return &shadow.Document{}, nil
	}
	if err == nil && (len(e.Value) == 0 || e.Value[0] != recordFormat) {
		err = store.ErrFormat
	}
	var doc *shadow.Document
	if err == nil {
		doc, err = shadow.Decode(e.Value[1:])
	}
	if err != nil {
		return nil, fmt.Errorf("hub: shadow of %v: %w", id, err)
	}
	return doc, nil
}

// keepShadow stores the changed document and its place in the history.
func (b *batch) keepShadow(d *device) {
	value := d.shadow.Append([]byte{recordFormat})
	b.st.Put(deviceKey(prefixShadow, d.id), value)
	b.st.Append(streamShadows, d.key, b.now, value)
	b.touch(d)
	d.unsettled.Add(1)
	b.then(func(err error) {
		if d.unsettled.Add(-1); err == nil {
			b.h.shadowNews.tell()
		}
	})
}

// settle has the batch wait until the document is durable. A refusal tells of the
// document too, and must not tell what a crash could still undo.
func (b *batch) settle(d *device) {
	if d.unsettled.Load() > 0 {
		b.st.Put(deviceKey(prefixShadow, d.id), d.shadow.Append([]byte{recordFormat}))
	}
}

// Shadow returns the shadow of a device as it is durable: what it says outlives a
// crash. The document belongs to the caller. The error wraps ErrUnknownDevice.
func (h *Hub) Shadow(ctx context.Context, id iot.DeviceID) (*shadow.Document, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	d.mu.Lock()
	gone := d.gone
	d.mu.Unlock()
	if gone {
		return nil, unknownDevice(id)
	}
	return h.readShadow(ctx, id)
}

// UpdateShadow carries out an application's request (shadow.Update,
// shadow.Replace or a parsed one) and returns the new document when it is
// durable. With ifRevision other than zero it fails with ErrConflict unless the
// document has that revision. A change of desired reaches the device once: now
// if it is connected, else on its next connection. Other errors are
// *shadow.Error or wrap ErrUnknownDevice.
func (h *Hub) UpdateShadow(ctx context.Context, id iot.DeviceID, r *shadow.Request, ifRevision uint64) (*shadow.Document, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	req := *r // a change may still happen when the caller has r back
	var after *shadow.Document
	var refused error
	err = h.do(ctx, d, func(b *batch) error {
		if err := h.loadShadow(h.ctx, d); err != nil {
			return err
		}
		if refused = h.desire(b, d, &req, ifRevision); refused != nil {
			b.settle(d)
		}
		after = d.shadow.Clone()
		return nil
	})
	if err = cmp.Or(err, refused); err != nil {
		return nil, err
	}
	return after, nil
}

// desire carries out an application's request on the worker.
func (h *Hub) desire(b *batch, d *device, r *shadow.Request, ifRevision uint64) error {
	if before := d.shadow.Revision(); ifRevision != 0 && before != ifRevision {
		return fmt.Errorf("%w: shadow of %v has revision %d, not %d", ErrConflict, d.id, before, ifRevision)
	}
	if err := d.shadow.Apply(r, shadow.Application, b.now, &h.shadows); err != nil || r.Method == "get" {
		return err
	}
	b.keepShadow(d)
	if d.shadow.DesiredRevision() == d.shadow.Revision() {
		h.control(b, d)
	} else {
		h.freshenControl(b, d)
	}
	return nil
}

// control queues the message that tells a device what is desired, in place of
// one that did not leave yet: a device that was away hears the latest only.
func (h *Hub) control(b *batch, d *device) {
	q := d.queue.waitingControl()
	switch {
	case !d.shadow.HasDesired():
		d.queue.dropControls(b, d)
		return
	case q != nil:
		q.payload, q.sent, q.away = d.shadow.AppendControl(nil, b.now), false, d.sess == nil
	default:
		d.queue.dropControls(b, d)
		q = &queued{
			id: h.ids.next(b.now), topic: topic.Shadow("get", d.id), payload: d.shadow.AppendControl(nil, b.now),
			expires: b.now.AddDate(100, 0, 0).UnixMilli(), hold: true, away: d.sess == nil, control: true,
		}
		d.queue.add(q)
		b.noteState(d, q, Queued, "")
	}
	b.st.Put(q.key(d.id), q.encode())
	if d.sess == nil {
		return // the next session begins with a look at the queue
	}
	b.then(func(err error) {
		if err == nil {
			h.pump(d)
		}
	})
}

// freshenControl keeps a control that waits in step with a change of anything
// but the wish: a device that answers it with the next version must not be late.
func (h *Hub) freshenControl(b *batch, d *device) {
	if !d.shadow.HasDesired() || d.queue.waitingControl() != nil {
		h.control(b, d)
	}
}
