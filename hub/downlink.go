// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
)

const streamDownlinks = "downlinks"

// DownlinkState is how far a message to a device got.
type DownlinkState string

// The states of a downlink. QoS 0 ends as Sent or Answered, QoS 1 as Delivered
// or, when an answer is awaited, Answered.
const (
	Queued    DownlinkState = "queued"    // kept for the device
	Sent      DownlinkState = "sent"      // written to the connection
	Delivered DownlinkState = "delivered" // acknowledged by the device
	Answered  DownlinkState = "answered"  // the device replied
	Expired   DownlinkState = "expired"   // its time, or its session, ended first
	Cancelled DownlinkState = "cancelled" // taken back before it was sent
)

// Downlink is the latest state of a message to a device.
type Downlink struct {
	ID      int64         `json:"messageId,string"`
	Topic   string        `json:"topic"`
	State   DownlinkState `json:"state"`
	Code    alink.Code    `json:"code,omitempty"` // of the answer
	Cause   string        `json:"cause,omitempty"`
	Time    time.Time     `json:"time"` // of the state
	Expires time.Time     `json:"expires,omitzero"`
}

// SendOptions say how a message goes to a device. The zero value is QoS 0, for
// devices that are connected.
type SendOptions struct {
	QoS iot.QoS
	// Hold keeps a QoS 1 message for a device that is away, whatever session it had,
	// and delivers it at the next connection that hears its topic. Without Hold a
	// QoS 1 message is kept for devices with a stored session (clean session 0) that
	// subscribed to the topic.
	Hold bool
	// TTL is how long it is kept; zero or more than Limits.QueueTTL means that.
	TTL time.Duration
}

// Publish sends a message to a device on one of its own topics and returns its
// message id. QoS 0 returns when it is on its way, QoS 1 when it is kept durably;
// Downlink tells what became of it. Errors wrap ErrUnknownDevice, ErrInvalid (a
// topic that is not the device's), ErrTooLarge, ErrOffline, ErrNotSubscribed,
// ErrThrottled or ErrQueueFull. The payload is copied.
func (h *Hub) Publish(ctx context.Context, id iot.DeviceID, topicName string, payload []byte, o SendOptions) (int64, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return 0, err
	}
	defer h.release(d)
	m := iot.Message{Topic: topicName, Payload: payload, QoS: o.QoS}
	if err := h.mayDeliver(d, m); err != nil {
		h.logDown(d, 0, OpAPIPublish, topicName, err)
		return 0, err
	}
	mid, err := h.send(ctx, d, m, "", o)
	if err != nil {
		h.logDown(d, mid, OpAPIPublish, topicName, err)
	}
	return mid, err
}

// send sends or queues m. callID is set for requests whose answer is awaited.
func (h *Hub) send(ctx context.Context, d *device, m iot.Message, callID string, o SendOptions) (int64, error) {
	if wait := h.downlinks.take(time.Now().UnixNano(), 1); wait > 0 {
		return 0, fmt.Errorf("%w: messages a second to all devices", ErrThrottled)
	}
	mid := h.ids.next(time.Now())
	if o.QoS == iot.AtLeastOnce {
		sent := false
		err := h.do(ctx, d, func(b *batch) (err error) {
			sent, err = h.enqueue(b, d, mid, m, callID, o)
			return err
		})
		if err != nil || !sent {
			return mid, err
		}
	}
	return mid, h.sendOnce(ctx, d, mid, m)
}

// enqueue keeps m for d; the worker calls it with the lock held. now reports that
// the connected device takes the topic with QoS 0, which needs no queue.
func (h *Hub) enqueue(b *batch, d *device, mid int64, m iot.Message, callID string, o SendOptions) (now bool, err error) {
	system := isSystem(m.Topic)
	switch {
	case d.sess != nil:
		qos, ok := d.sess.wants(m.Topic)
		if !ok && !o.Hold {
			return false, fmt.Errorf("%w %s", ErrNotSubscribed, m.Topic)
		}
		if ok && qos == iot.AtMostOnce && !o.Hold {
			return true, nil
		}
	case o.Hold:
	case d.stored == nil:
		return false, fmt.Errorf("%w: %v has no stored session", ErrOffline, d.id)
	default:
		if qos, ok := d.stored.wants(m.Topic, system); !ok || qos == iot.AtMostOnce {
			return false, fmt.Errorf("%w: %v did not subscribe to %s with QoS 1", ErrOffline, d.id, m.Topic)
		}
	}
	d.queue.expire(b, d, b.now)
	if len(d.queue.all) >= h.limits.QueuedMessages {
		return false, fmt.Errorf("%w: %d messages for %v", ErrQueueFull, len(d.queue.all), d.id)
	}
	ttl := h.limits.QueueTTL
	if o.TTL > 0 {
		ttl = min(ttl, o.TTL)
	}
	q := &queued{
		id: mid, callID: callID, topic: m.Topic, payload: append([]byte{}, m.Payload...),
		expires: b.now.Add(ttl).UnixMilli(), hold: o.Hold, away: d.sess == nil,
	}
	d.queue.add(q)
	b.st.Put(q.key(d.id), q.encode())
	b.noteState(d, q, Queued, "")
	b.then(func(err error) {
		if err == nil {
			h.pump(d)
		}
	})
	return false, nil
}

// noteState appends a state of a queued downlink and, for the final ones, its
// log entry.
func (b *batch) noteState(d *device, q *queued, state DownlinkState, cause string) {
	b.note(d, Downlink{ID: q.id, Topic: q.topic, State: state, Cause: cause, Expires: time.UnixMilli(q.expires).UTC()})
	e := LogEntry{MessageID: q.id, Device: d.id, Kind: Downstream, Operation: OpSend, Status: Success, Topic: q.topic}
	if q.away {
		e.Operation = OpSendOffline
	}
	switch state {
	case Expired:
		e.Status, e.Cause, e.Detail = Failure, CauseExpired, cause
	case Cancelled:
		e.Status, e.Cause, e.Detail = Failure, CauseCancelled, cause
	case Delivered:
	default:
		return
	}
	b.then(func(err error) {
		if err == nil {
			b.h.log(e)
		}
	})
}

// note appends a state to the stream of downlinks.
func (b *batch) note(d *device, s Downlink) {
	s.Time = b.now.UTC()
	b.st.Append(streamDownlinks, d.key, b.now, encodeJSON(s))
}

// noteLater is note for those who do not wait for it.
func (h *Hub) noteLater(d *device, s Downlink) {
	h.retain(d)
	d.post(func(b *batch) {
		b.note(d, s)
		b.then(func(error) { h.release(d) })
	})
}

// sendOnce sends m to the connected device with QoS 0.
func (h *Hub) sendOnce(ctx context.Context, d *device, mid int64, m iot.Message) error {
	d.mu.Lock()
	s, state := d.sess, d.state()
	d.mu.Unlock()
	switch {
	case state == Disabled:
		return fmt.Errorf("%w: %v", ErrDisabled, d.id)
	case state == Inactive:
		return fmt.Errorf("%w: %v", ErrNotActivated, d.id)
	case s == nil:
		return fmt.Errorf("%w: %v", ErrOffline, d.id)
	}
	if _, ok := s.wants(m.Topic); !ok {
		return fmt.Errorf("%w %s", ErrNotSubscribed, m.Topic)
	}
	if h.rates.down.takeShared(&d.downRate, time.Now().UnixNano(), 1) > 0 {
		return fmt.Errorf("%w: messages a second to %v", ErrThrottled, d.id)
	}
	m.QoS = iot.AtMostOnce
	result := make(chan error, 1)
	s.sendNow(ctx, m, func(err error) { result <- err })
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("hub: %v: %w", d.id, err)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	h.noteLater(d, Downlink{ID: mid, Topic: m.Topic, State: Sent})
	return nil
}

// sendNow hands a QoS 0 message to the connection.
func (s *session) sendNow(ctx context.Context, m iot.Message, done func(error)) {
	s.link.Send(ctx, hal.Delivery{Message: m}, done)
}

// Downlink returns the latest state of a message to a device. The error wraps
// ErrUnknownDownlink. States are kept for Limits.LogRetention.
func (h *Hub) Downlink(ctx context.Context, id iot.DeviceID, mid int64) (Downlink, error) {
	var latest Downlink
	since := idTime(mid).Add(-time.Hour) // ids may be ahead of the clock
	for rec, err := range h.store.ReadKey(ctx, streamDownlinks, id.String(), 0, since, time.Time{}) {
		if err != nil {
			return Downlink{}, err
		}
		var s Downlink
		if err := decodeJSON(rec.Value, &s); err != nil {
			return Downlink{}, err
		}
		if s.ID == mid {
			latest = s
		}
	}
	if latest.ID == 0 {
		return Downlink{}, fmt.Errorf("%w %d of %v", ErrUnknownDownlink, mid, id)
	}
	open := latest.State == Queued || latest.State == Sent
	if open && !latest.Expires.IsZero() && latest.Expires.Before(time.Now()) {
		latest.State = Expired
	}
	return latest, nil
}

// Cancel takes back a queued downlink that was not sent yet. Errors wrap
// ErrUnknownDownlink, or ErrInvalid when it is on its way.
func (h *Hub) Cancel(ctx context.Context, id iot.DeviceID, mid int64) error {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.release(d)
	return h.do(ctx, d, func(b *batch) error {
		q := d.queue.find(mid)
		switch {
		case q == nil:
			return fmt.Errorf("%w %d of %v", ErrUnknownDownlink, mid, id)
		case q.session != nil || q.sent || q.delivered:
			return fmt.Errorf("%w: downlink %d was sent already", ErrInvalid, mid)
		}
		d.queue.remove(b, d, q)
		b.noteState(d, q, Cancelled, "")
		return nil
	})
}
