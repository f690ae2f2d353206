// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"errors"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

// retryFull is when a connection whose buffer was full is tried again.
const retryFull = time.Second

// pump has the worker send what waits for d.
func (h *Hub) pump(d *device) {
	h.retain(d)
	d.post(func(b *batch) {
		if s := d.sess; s != nil {
			s.pump(b)
		}
		b.then(func(error) { h.release(d) })
	})
}

// pump sends queued downlinks in order, as far as window and rate allow. The
// worker calls it without the lock: a link may answer at once.
func (s *session) pump(b *batch) {
	ready := s.ready(b)
	for _, q := range ready {
		qos, _ := s.wants(q.topic)
		delivery := hal.Delivery{Message: iot.Message{Topic: q.topic, Payload: q.payload, QoS: qos}}
		if qos == iot.AtLeastOnce {
			delivery.PacketID, delivery.Dup = q.packet, q.sent
		}
		if !q.sent {
			q.sent = true
			if !s.clean { // nobody resumes the others: there is no repetition to mark
				b.st.Put(q.key(s.d.id), q.encode())
				b.touch(s.d)
			}
		}
		s.link.Send(s.h.ctx, delivery, func(err error) {
			s.d.post(func(b *batch) { s.acked(b, q, err) })
		})
	}
}

// ready picks what may be sent now and marks it in flight.
func (s *session) ready(b *batch) []*queued {
	h, d := s.h, s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sess != s {
		return nil
	}
	d.queue.expire(b, d, b.now)
	var ready []*queued
	for _, q := range d.queue.all {
		if q.session != nil || q.delivered {
			continue
		}
		if d.queue.inFlight >= h.limits.Unacked {
			break // the next PUBACK goes on
		}
		if _, ok := s.wants(q.topic); !ok {
			continue
		}
		if wait := h.rates.down.takeShared(&d.downRate, b.now.UnixNano(), 1); wait > 0 {
			s.pumpIn(wait)
			break
		}
		q.session = s
		d.queue.inFlight++
		ready = append(ready, q)
	}
	return ready
}

// pumpIn has the queue looked at again; the lock is held.
func (s *session) pumpIn(wait time.Duration) {
	if s.d.queue.armed {
		return
	}
	s.d.queue.armed = true
	s.h.after(wait, func() {
		s.d.mu.Lock()
		s.d.queue.armed = false
		s.d.mu.Unlock()
		s.d.post(func(b *batch) { s.pump(b) })
	})
}

// acked notes what became of a sent downlink and sends the next.
func (s *session) acked(b *batch, q *queued, err error) {
	d := s.d
	d.mu.Lock()
	if q.session == s {
		q.session = nil
		d.queue.inFlight--
	}
	switch {
	case q.removed:
	case q.stale && q.desired != nil:
		d.queue.remove(b, d, q)
		b.noteState(d, q, Cancelled, "a later one takes its place")
	case err == nil && q.callID != "" && !q.delivered:
		q.delivered = true
		b.st.Put(q.key(d.id), q.encode())
		b.noteState(d, q, Delivered, "")
	case err == nil:
		d.queue.remove(b, d, q)
		b.noteState(d, q, Delivered, "")
	case q.stale:
		d.queue.remove(b, d, q)
		b.noteState(d, q, Cancelled, "a later one takes its place")
	case errors.Is(err, hal.ErrFull):
		s.pumpIn(retryFull)
		b.then(func(error) { s.h.logDown(d, q.id, OpSend, q.topic, err) })
	}
	b.touch(d)
	d.mu.Unlock()
	if err == nil {
		s.pump(b)
	}
}
