// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"errors"
	"fmt"
)

// ErrGone is what a Link answers when the connection ended before the delivery
// was done.
var ErrGone = errors.New("hal: connection is gone")

// ErrFull is what a Link answers when the client does not read fast enough and
// the connection's outgoing buffer is full.
var ErrFull = errors.New("hal: outgoing buffer is full")

// ErrThrottled is wrapped by a refusal or rejection that is due to a limit of
// rate: the client may try again later.
var ErrThrottled = errors.New("hal: throttled")

// Reason is why a client is not let in. Each listener maps it to the code of
// its own protocol and version.
type Reason uint8

// The reasons. MQTT 3.1 and 3.1.1 answer them with CONNACK 1 to 5.
const (
	BadVersion     Reason = iota + 1 // protocol level not spoken here
	BadClientID                      // the client id cannot be understood
	Unavailable                      // busy, throttled or shutting down; try later
	BadCredentials                   // unknown device or wrong secret
	NotAuthorized                    // known, but disabled, deleted or not allowed this way
)

var reasonNames = [...]string{"unknown reason", "bad protocol version", "bad client id", "unavailable", "bad credentials", "not authorized"}

// String names the reason in lower-case words.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// RefusedError is the refusal of a connection.
type RefusedError struct {
	Reason Reason
	Err    error // the cause in detail, for logs; never sent to the client; may be nil
}

// Error says the reason and the cause.
func (e *RefusedError) Error() string {
	if e.Err == nil {
		return "hal: refused: " + e.Reason.String()
	}
	return fmt.Sprintf("hal: refused: %v: %v", e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// RejectedError is a message or subscription that is not processed although the
// connection goes on: a foreign topic, bytes that mean nothing, a message over
// a limit.
type RejectedError struct {
	Err error // the cause; may be nil
}

// Error says the cause.
func (e *RejectedError) Error() string {
	if e.Err == nil {
		return "hal: message rejected"
	}
	return fmt.Sprintf("hal: message rejected: %v", e.Err)
}

// Unwrap returns the cause.
func (e *RejectedError) Unwrap() error { return e.Err }

// ErrOtherAuth means that the devices of the product log in another way, such as
// with certificates.
var ErrOtherAuth = errors.New("hal: devices of this product log in another way")
