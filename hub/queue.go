// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

// queue holds the QoS 1 downlinks of a device that it has not acknowledged (and
// calls it has not answered), oldest first. Every one is in the store as well.
// The worker changes it with the device's lock held.
type queue struct {
	all      []*queued
	packet   uint16 // last packet id given
	inFlight int
	armed    bool // a timer will have the queue looked at
}

// queued is one downlink of a queue.
type queued struct {
	id      int64
	callID  string // Alink id when an answer is awaited, else empty
	topic   string
	payload []byte
	packet  uint16
	expires int64 // epoch milliseconds
	// hold keeps it over clean sessions and until the device subscribes: commands.
	// Without it a downlink belongs to the session it was queued for.
	hold bool
	away bool // the device was away when it was queued
	// control marks a shadow's control message: a later one takes its place.
	control bool
	// stale marks a control in flight that a later one, or the end of the wish,
	// overtook: it is not sent again, whatever becomes of it.
	stale bool
	// desired are the versions of the desired properties it tells of; nil for
	// anything else. A session begins with a new one, so that it need not be stored.
	desired map[string]int64
	// slot names what only the newest message matters of; empty for others.
	slot string
	sent bool // sent at least once to this session or an earlier one it resumes

	session   *session // in flight there; nil when not in flight
	delivered bool     // acknowledged, the answer is awaited
	removed   bool
}

const (
	flagHold = 1 << iota
	flagAway
	flagSent
	flagDelivered
	flagControl
	flagDesired
	flagSlot
)

func queuePrefix(id iot.DeviceID) []byte { return append(deviceKey(prefixQueue, id), '/') }

func (q *queued) key(id iot.DeviceID) []byte {
	return binary.BigEndian.AppendUint64(queuePrefix(id), uint64(q.id))
}

// encode writes the stored form: format, flags, packet id, expiry, call id,
// topic, slot if there is one, and payload.
func (q *queued) encode() []byte {
	var flags byte
	for _, f := range []struct {
		set bool
		bit byte
	}{{q.hold, flagHold}, {q.away, flagAway}, {q.sent, flagSent}, {q.delivered, flagDelivered}, {q.control, flagControl}, {q.desired != nil, flagDesired}, {q.slot != "", flagSlot}} {
		if f.set {
			flags |= f.bit
		}
	}
	b := binary.BigEndian.AppendUint16([]byte{recordFormat, flags}, q.packet)
	b = binary.AppendVarint(b, q.expires)
	b = appendText(b, q.callID)
	b = appendText(b, q.topic)
	if q.slot != "" {
		b = appendText(b, q.slot)
	}
	return append(b, q.payload...)
}

func decodeQueued(id int64, b []byte) (*queued, error) {
	if len(b) < 4 || b[0] != recordFormat {
		return nil, store.ErrFormat
	}
	flags := b[1]
	q := &queued{
		id: id, packet: binary.BigEndian.Uint16(b[2:]), hold: flags&flagHold != 0, away: flags&flagAway != 0,
		sent: flags&flagSent != 0, delivered: flags&flagDelivered != 0,
		control: flags&flagControl != 0,
	}
	if flags&flagDesired != 0 {
		q.desired = map[string]int64{}
	}
	r := reader{b: b[4:]}
	q.expires = r.varint()
	q.callID, q.topic = string(r.bytes()), string(r.bytes())
	if flags&flagSlot != 0 {
		q.slot = string(r.bytes())
	}
	q.payload = append([]byte{}, r.b...)
	if r.bad {
		return nil, fmt.Errorf("%w: queued downlink is cut short", store.ErrFormat)
	}
	return q, nil
}

// loadQueue reads the queue of a device that is being loaded.
func (h *Hub) loadQueue(ctx context.Context, d *device) error {
	prefix := queuePrefix(d.id)
	to := slices.Clone(prefix)
	to[len(to)-1]++
	for e, err := range h.store.Range(ctx, prefix, to) {
		if err != nil {
			return fmt.Errorf("hub: queue of %v: %w", d.id, err)
		}
		if len(e.Key) != len(prefix)+8 {
			continue
		}
		q, err := decodeQueued(int64(binary.BigEndian.Uint64(e.Key[len(prefix):])), e.Value)
		if err != nil {
			return fmt.Errorf("hub: queue of %v: %w", d.id, err)
		}
		d.queue.all = append(d.queue.all, q)
		d.queue.packet = q.packet
	}
	return nil
}

// add appends q and gives it its packet id. Ids are unique within the queue
// because it is shorter than the range of ids.
func (u *queue) add(q *queued) {
	if u.packet++; u.packet == 0 || u.packet > maxOwnPacket {
		u.packet = 1
	}
	q.packet = u.packet
	u.all = append(u.all, q)
}

// remove takes q out of the queue and the store.
func (u *queue) remove(b *batch, d *device, q *queued) {
	if q.removed {
		return
	}
	q.removed = true
	if q.session != nil {
		q.session = nil
		u.inFlight--
	}
	b.st.Delete(q.key(d.id))
	u.all = slices.DeleteFunc(u.all, func(other *queued) bool { return other == q })
}

// rewind prepares the queue for a new session: nothing is in flight, and what an
// earlier session was sent is a repetition only if that session is resumed.
func (u *queue) rewind(b *batch, d *device, clean bool) {
	u.dropStale(b, d)
	u.dropPushed(b, d)
	u.inFlight = 0
	for _, q := range u.all {
		q.session = nil
		if clean {
			q.sent = false
		}
	}
}

// dropPushed removes what told of desired properties, those from before a restart
// included: it is told anew.
func (u *queue) dropPushed(b *batch, d *device) {
	for _, q := range slices.Clone(u.all) {
		if q.desired != nil {
			u.remove(b, d, q)
			b.noteState(d, q, Cancelled, "told anew to the next session")
		}
	}
}

// dropStale removes the controls whose fate the earlier session took with it.
func (u *queue) dropStale(b *batch, d *device) {
	for _, q := range slices.Clone(u.all) {
		if q.stale {
			u.remove(b, d, q)
			b.noteState(d, q, Cancelled, "a later one takes its place")
		}
	}
}

// dropClean removes what belonged to a session that is not kept.
func (u *queue) dropClean(b *batch, s *session) {
	for _, q := range slices.Clone(u.all) {
		if !q.hold {
			u.remove(b, s.d, q)
			b.noteState(s.d, q, Expired, "session ended")
		}
	}
}

// dropControls takes back what the device was to be told: a control that waits is
// removed, one on its way is not sent again, not even after a restart.
func (u *queue) dropControls(b *batch, d *device) {
	for _, q := range slices.Clone(u.all) {
		switch {
		case !q.control:
		case q.session == nil:
			u.remove(b, d, q)
			b.noteState(d, q, Cancelled, "nothing is desired any more")
		default:
			q.stale = true
			b.st.Delete(q.key(d.id))
		}
	}
}

// waitingControl returns the control that is not on its way; there is one at most.
func (u *queue) waitingControl() *queued {
	for _, q := range u.all {
		if q.control && q.session == nil {
			return q
		}
	}
	return nil
}

// clear removes everything.
func (u *queue) clear(b *batch, d *device) {
	for _, q := range slices.Clone(u.all) {
		u.remove(b, d, q)
		b.noteState(d, q, Cancelled, "device deleted")
	}
}

// expire removes what was kept for as long as allowed.
func (u *queue) expire(b *batch, d *device, now time.Time) {
	for _, q := range slices.Clone(u.all) {
		if q.expires <= now.UnixMilli() && q.session == nil {
			u.remove(b, d, q)
			b.noteState(d, q, Expired, "")
		}
	}
}

func (u *queue) find(id int64) *queued {
	for _, q := range u.all {
		if q.id == id {
			return q
		}
	}
	return nil
}
