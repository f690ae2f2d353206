// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"slices"
	"time"
)

// latest queues a message of which only the newest matters: it takes the place
// of one in the same slot that did not leave yet, and one on its way is not sent
// again. The worker calls it with the device's lock held.
func (h *Hub) latest(b *batch, d *device, slot, topicName, callID string, payload []byte, expires time.Time) {
	q := d.queue.waitingIn(slot)
	if q != nil {
		q.payload, q.callID, q.sent, q.away, q.expires = payload, callID, false, d.sess == nil, expires.UnixMilli()
	} else {
		d.queue.dropSlot(b, d, slot)
		q = &queued{
			id: h.ids.next(b.now), callID: callID, topic: topicName, payload: payload, slot: slot,
			expires: expires.UnixMilli(), hold: true, away: d.sess == nil,
		}
		d.queue.add(q)
		b.noteState(d, q, Queued, "")
	}
	b.st.Put(q.key(d.id), q.encode())
	b.touch(d)
	b.then(func(err error) {
		if err == nil {
			h.pump(d)
		}
	})
}

// waitingIn returns the message of a slot that is not on its way.
func (u *queue) waitingIn(slot string) *queued {
	for _, q := range u.all {
		if q.slot == slot && q.session == nil && !q.delivered && !q.stale {
			return q
		}
	}
	return nil
}

// dropSlot takes back what a slot holds; what is on its way is not sent again.
func (u *queue) dropSlot(b *batch, d *device, slot string) {
	for _, q := range slices.Clone(u.all) {
		switch {
		case q.slot != slot:
		case q.session == nil:
			u.remove(b, d, q)
			b.noteState(d, q, Cancelled, "nothing to tell any more, or something newer")
			b.touch(d)
		default:
			q.stale = true
			b.st.Delete(q.key(d.id))
		}
	}
}

// slots returns the slots in use.
func (u *queue) slots() []string {
	var list []string
	for _, q := range u.all {
		if q.slot != "" && !slices.Contains(list, q.slot) {
			list = append(list, q.slot)
		}
	}
	return list
}
