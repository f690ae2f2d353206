// SPDX-License-Identifier: Apache-2.0

package https

import (
	"errors"
	"fmt"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Code is the outcome of a request (wire facts section 6.4).
type Code int

// The codes.
const (
	CodeOK            Code = 0
	CodeCommon        Code = 10000 // not a request of this protocol, or the platform failed
	CodeParam         Code = 10001 // a parameter is missing, wrong, stale or too large
	CodeAuth          Code = 20000 // unknown device, wrong sign, disabled
	CodeTokenExpired  Code = 20001 // log in again
	CodeTokenNull     Code = 20002 // no token shown
	CodeToken         Code = 20003 // not, or no longer, a token of a device: log in again
	CodeUpdateSession Code = 20004 // the login was right but could not be kept
	CodePublish       Code = 30001 // the message is not processed: foreign topic, bad bytes
	CodeTooMany       Code = 40000 // over a limit of rate; try later
)

// String returns the message that goes with the code.
func (c Code) String() string {
	switch c {
	case CodeOK:
		return "success"
	case CodeCommon:
		return "common error"
	case CodeParam:
		return "param error"
	case CodeAuth:
		return "auth check error"
	case CodeTokenExpired:
		return "token is expired"
	case CodeTokenNull:
		return "token is null"
	case CodeToken:
		return "check token error"
	case CodeUpdateSession:
		return "update session error"
	case CodePublish:
		return "publish message error"
	case CodeTooMany:
		return "request too many"
	}
	return fmt.Sprintf("code %d", int(c))
}

// CodeError is a code other than CodeOK as the error of a device's request.
type CodeError struct {
	Code    Code
	Message string // what the platform says
}

// Error says the code and the message.
func (e *CodeError) Error() string { return fmt.Sprintf("https: code %d: %s", int(e.Code), e.Message) }

// loginCode is the answer to a login that failed.
func loginCode(err error) Code {
	refused, ok := errors.AsType[*hal.RefusedError](err)
	switch {
	case errors.Is(err, hal.ErrThrottled):
		return CodeTooMany
	case errors.Is(err, auth.ErrBadSign), errors.Is(err, auth.ErrBadMethod), errors.Is(err, auth.ErrUnknownDevice), errors.Is(err, hal.ErrOtherAuth):
		return CodeAuth
	case !ok:
		return CodeCommon
	case refused.Reason == hal.Unavailable:
		return CodeUpdateSession
	}
	return CodeAuth
}

// tokenCode is the answer to a token that does not let in.
func tokenCode(err error) Code {
	refused, ok := errors.AsType[*hal.RefusedError](err)
	switch {
	case errors.Is(err, hal.ErrThrottled):
		return CodeTooMany
	case errors.Is(err, auth.ErrTokenExpired):
		return CodeTokenExpired
	case !ok, refused.Reason == hal.Unavailable:
		return CodeCommon
	}
	return CodeToken
}

// publishCode is the answer to a message.
func publishCode(err error) Code {
	switch {
	case err == nil:
		return CodeOK
	case errors.Is(err, hal.ErrThrottled):
		return CodeTooMany
	}
	if _, ok := errors.AsType[*hal.RejectedError](err); ok {
		return CodePublish
	}
	return CodeCommon // not kept: another try may do
}
