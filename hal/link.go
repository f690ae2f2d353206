// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"context"

	iot "github.com/openalink/iot"
)

// Link is the listener's half of a connection: the way to the client. It is
// safe for concurrent use.
type Link interface {
	// Send queues a delivery and returns; it never waits for the client. The
	// delivery is already matched and authorised, whether the client subscribed
	// or not. The link copies what it needs before it returns.
	//
	// done, when not nil, is called exactly once, from any goroutine and possibly
	// before Send returns; it must not block. nil means acknowledged by the
	// client for QoS 1, written to the transport for QoS 0. ErrGone means the
	// connection ended first, ErrFull that the client reads too slowly and the
	// delivery was not queued.
	Send(ctx context.Context, d Delivery, done func(error))

	// Close ends the connection, after what was sent has left if that takes no
	// longer than a moment. The session's Close follows with the same cause. It is
	// idempotent and does not wait.
	Close(cause Cause)
}

// Delivery is a message on its way to a client.
type Delivery struct {
	Message iot.Message
	// PacketID identifies a QoS 1 delivery until it is acknowledged. The platform
	// chooses it, so that a resumed session can repeat it. Zero for QoS 0.
	PacketID uint16
	// Dup marks a repeated delivery (MQTT 3.1.1 section 3.3.1.1).
	Dup bool
}
