// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"errors"
	"fmt"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Code is the outcome of a request: class and detail of a CoAP response in one
// byte, as on the wire (RFC 7252 section 3, wire facts section 7.6).
type Code byte

// The codes.
const (
	CodeContent           Code = 2<<5 | 5  // 2.05: done
	CodeBadRequest        Code = 4 << 5    // 4.00: the payload is wrong, the sign is, or the message is refused
	CodeUnauthorized      Code = 4<<5 | 1  // 4.01: the token is missing, wrong or expired: log in again
	CodeBadOption         Code = 4<<5 | 2  // 4.02: an option that may not be ignored and is not known
	CodeNotFound          Code = 4<<5 | 4  // 4.04: neither /auth nor /topic/{topic}
	CodeMethodNotAllowed  Code = 4<<5 | 5  // 4.05: not POST
	CodeNotAcceptable     Code = 4<<5 | 6  // 4.06: /auth answers in JSON and CBOR
	CodeIncomplete        Code = 4<<5 | 8  // 4.08: the answer whose rest is asked for is forgotten
	CodeTooLarge          Code = 4<<5 | 13 // 4.13: more than 1 KB, or in blocks
	CodeUnsupportedFormat Code = 4<<5 | 15 // 4.15: /auth reads JSON and CBOR
	CodeInternal          Code = 5 << 5    // 5.00: the platform failed, is busy, or there is too much; try later
)

// String returns the code as documents write it, such as "4.01".
func (c Code) String() string { return fmt.Sprintf("%d.%02d", c>>5, c&31) }

// text is the diagnostic payload that goes with a code.
func (c Code) text() string {
	switch c {
	case CodeBadRequest:
		return "bad request"
	case CodeUnauthorized:
		return "token is missing, wrong or expired"
	case CodeBadOption:
		return "unknown critical option"
	case CodeNotFound:
		return "404 not found"
	case CodeMethodNotAllowed:
		return "POST"
	case CodeNotAcceptable, CodeUnsupportedFormat:
		return "application/json or application/cbor"
	case CodeTooLarge:
		return "message is too large"
	case CodeIncomplete:
		return "answer is forgotten"
	case CodeInternal:
		return "internal error"
	case CodeContent:
	}
	return ""
}

// CodeError is a code other than CodeContent as the error of a device's request.
type CodeError struct {
	Code Code
	Text string // what the platform says about it; may be empty
}

// Error says the code and the text.
func (e *CodeError) Error() string {
	if e.Text == "" {
		return "coap: code " + e.Code.String()
	}
	return fmt.Sprintf("coap: code %v: %.128q", e.Code, e.Text)
}

// loginCode is the answer to a login that failed.
func loginCode(err error) Code {
	refused, ok := errors.AsType[*hal.RefusedError](err)
	switch {
	case errors.Is(err, hal.ErrThrottled):
		return CodeInternal
	case errors.Is(err, auth.ErrBadSign), errors.Is(err, auth.ErrBadMethod), errors.Is(err, auth.ErrUnknownDevice), errors.Is(err, hal.ErrOtherAuth):
		return CodeBadRequest
	case !ok, refused.Reason == hal.Unavailable:
		return CodeInternal
	}
	return CodeBadRequest
}

// tokenCode is the answer to a token that does not let in.
func tokenCode(err error) Code {
	refused, ok := errors.AsType[*hal.RefusedError](err)
	switch {
	case errors.Is(err, hal.ErrThrottled):
		return CodeInternal
	case errors.Is(err, auth.ErrTokenExpired), errors.Is(err, auth.ErrBadSign):
		return CodeUnauthorized
	case !ok, refused.Reason == hal.Unavailable:
		return CodeInternal
	}
	return CodeUnauthorized
}

// publishCode is the answer to a message.
func publishCode(err error) Code {
	if err == nil {
		return CodeContent
	}
	if _, ok := errors.AsType[*hal.RejectedError](err); ok && !errors.Is(err, hal.ErrThrottled) {
		return CodeBadRequest
	}
	return CodeInternal
}
