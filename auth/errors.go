// SPDX-License-Identifier: Apache-2.0

package auth

import "errors"

// What callers branch on. None of these errors carries what the client sent as
// its secret.
var (
	// ErrBadSign means a signature, password or token that does not fit.
	ErrBadSign = errors.New("auth: bad sign")
	// ErrBadMethod is wrapped by every error about an unknown sign method.
	ErrBadMethod = errors.New("auth: unknown sign method")
	// ErrBadClientID is wrapped by every error about a client id that cannot be
	// understood.
	ErrBadClientID = errors.New("auth: bad client id")
	// ErrBadUserName is wrapped by every error about a user name that is not
	// "{deviceName}&{productKey}".
	ErrBadUserName = errors.New("auth: bad user name")
	// ErrUnknownDevice is what a SecretSource answers for a device it does not
	// know.
	ErrUnknownDevice = errors.New("auth: unknown device")
)
