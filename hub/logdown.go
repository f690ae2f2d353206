// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// mayDeliver checks that a message may go to a device at all.
func (h *Hub) mayDeliver(d *device, m iot.Message) error {
	if len(m.Payload) > h.limits.MessageBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(m.Payload), h.limits.MessageBytes)
	}
	t, err := topic.Parse(m.Topic)
	if err == nil {
		err = d.product.acl.Load().Deliver(d.id, t)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// logDown makes the entry of a downlink that did not work out.
func (h *Hub) logDown(d *device, mid int64, op Operation, name string, err error) {
	h.log(LogEntry{
		MessageID: mid, Device: d.id, Kind: Downstream, Operation: op, Status: Failure,
		Cause: downCause(err), Topic: name, Detail: err.Error(),
	})
}

func downCause(err error) LogCause {
	switch {
	case errors.Is(err, ErrThrottled):
		return CauseRateLimit
	case errors.Is(err, ErrInvalid):
		return CauseNoAuthorization
	case errors.Is(err, ErrTooLarge):
		return CauseTooLarge
	case errors.Is(err, ErrQueueFull), errors.Is(err, hal.ErrFull):
		return CauseCannotPublish
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return CauseTimeout
	case errors.Is(err, ErrOffline), errors.Is(err, ErrNotActivated), errors.Is(err, ErrNotSubscribed),
		errors.Is(err, ErrDisabled), errors.Is(err, hal.ErrGone):
		return CauseCannotReceive
	}
	return CauseSystemError
}
