// SPDX-License-Identifier: Apache-2.0

package shadow

import "strconv"

// Code is the error code of an answer (wire facts section 14).
type Code int

// The codes.
const (
	BadJSON         Code = 400 // no JSON, too large, or too deep
	NoMethod        Code = 401
	NoState         Code = 402
	BadVersion      Code = 403 // version is no number
	NoReported      Code = 404
	EmptyReported   Code = 405
	UnknownMethod   Code = 406
	EmptyDocument   Code = 407
	TooManyMembers  Code = 408
	VersionConflict Code = 409
	ServerError     Code = 500
)

// Error is a request that changed nothing.
type Error struct {
	Code    Code
	Message string
}

// Error says code and message.
func (e *Error) Error() string {
	return "shadow: " + strconv.Itoa(int(e.Code)) + " " + e.Message
}

// Is reports whether target is an *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func refuse(code Code, message string) *Error { return &Error{code, message} }
