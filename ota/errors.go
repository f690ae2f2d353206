// SPDX-License-Identifier: Apache-2.0

package ota

import "errors"

// The errors of this package.
var (
	// ErrState means that something is not possible in the present state.
	ErrState = errors.New("ota: not now")
	// ErrMessage means that a message of the wire cannot be read.
	ErrMessage = errors.New("ota: bad message")
)
