// SPDX-License-Identifier: Apache-2.0

package alink

import "errors"

var (
	// ErrMalformed is wrapped by every error about a payload that is not an
	// Alink message. Its text says what is wrong and at which byte.
	ErrMalformed = errors.New("alink: malformed message")
	// ErrBadPattern is wrapped by every error about a pattern of a Mux.
	ErrBadPattern = errors.New("alink: bad pattern")
	// ErrTooMany means that as many calls as allowed wait for their answers.
	ErrTooMany = errors.New("alink: too many calls under way")
	// ErrDuplicate means that a call with this id waits already.
	ErrDuplicate = errors.New("alink: duplicate call id")
	// ErrCanceled is what a cancelled call's Wait returns.
	ErrCanceled = errors.New("alink: call canceled")
	// ErrClosed is what calls return after Calls was closed without a cause.
	ErrClosed = errors.New("alink: calls closed")
)
