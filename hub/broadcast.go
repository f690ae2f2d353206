// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"strconv"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

// Broadcast sends a message to the connected devices of a product and returns
// its message id and how many it went to. With a suffix it goes to those that
// subscribed to /broadcast/{pk}/{suffix}; without one to all of them, each on
// its own /sys/{pk}/{dn}/broadcast/request/{id}. It is sent with QoS 0 to at most
// Limits.BroadcastReceivers devices. Errors wrap ErrUnknownProduct, ErrInvalid,
// ErrTooLarge, ErrThrottled or ErrTooMany.
func (h *Hub) Broadcast(ctx context.Context, productKey, suffix string, payload []byte) (mid int64, receivers int, err error) {
	if _, err := h.product(productKey); err != nil {
		return 0, 0, err
	}
	if len(payload) > h.limits.MessageBytes {
		return 0, 0, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(payload))
	}
	name := topic.Broadcast(productKey, suffix)
	if _, err := topic.Parse(name); suffix != "" && err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if h.broadcasts.take(time.Now().UnixNano(), 1) > 0 {
		return 0, 0, fmt.Errorf("%w: broadcasts a second", ErrThrottled)
	}
	mid = h.ids.next(time.Now())
	request := "broadcast/request/" + strconv.FormatInt(mid, 10)
	type target struct {
		s    *session
		name string
	}
	var targets []target
	h.each(func(d *device) {
		if d.id.Product != productKey {
			return
		}
		d.mu.Lock()
		s := d.sess
		d.mu.Unlock()
		to := name
		if suffix == "" {
			to = topic.Sys(d.id, request)
		}
		if s == nil {
			return
		}
		if _, ok := s.subs.Load().wants(to, suffix == ""); ok {
			targets = append(targets, target{s, to})
		}
	})
	if n := h.limits.BroadcastReceivers; n > 0 && len(targets) > n {
		return mid, 0, fmt.Errorf("%w receivers: %d, at most %d", ErrTooMany, len(targets), n)
	}
	for _, t := range targets {
		t.s.sendNow(ctx, iot.Message{Topic: t.name, Payload: payload}, func(err error) {
			e := LogEntry{MessageID: mid, Device: t.s.d.id, Kind: Downstream, Operation: OpBroadcast, Status: Success, Topic: t.name}
			if err != nil {
				e.Status, e.Cause, e.Detail = Failure, downCause(err), err.Error()
			}
			h.log(e)
		})
	}
	return mid, len(targets), nil
}
