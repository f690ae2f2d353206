// SPDX-License-Identifier: Apache-2.0

package bridge

import "errors"

// The errors of this package. Refusals of the platform are those of package
// device: *alink.CodeError.
var (
	// ErrClosed means that the Bridge or Server was closed.
	ErrClosed = errors.New("bridge: closed")
	// ErrUnmapped means that Identities does not know the original identity.
	ErrUnmapped = errors.New("bridge: identity is not mapped to a device")
	// ErrOffline means that the identity has no session.
	ErrOffline = errors.New("bridge: device is offline")
	// ErrQueueFull means that Config.Queue messages of the device wait already.
	ErrQueueFull = errors.New("bridge: queue is full")
	// ErrFull means that every gateway carries Config.Capacity devices.
	ErrFull = errors.New("bridge: no gateway has room")
	// ErrReplaced closes a session whose identity has a newer one.
	ErrReplaced = errors.New("bridge: replaced by a newer session")
	// ErrInUse refuses a session whose identity has one (Config.Exclusive).
	ErrInUse = errors.New("bridge: identity is in use")
	// ErrTaken closes a session the platform ended: the device was disabled, deleted
	// or taken over by another gateway.
	ErrTaken = errors.New("bridge: the platform ended the session")
	// ErrSilent closes a session whose heartbeats are missing.
	ErrSilent = errors.New("bridge: heartbeats are missing")
	// ErrForeign means a message of another identity than its connection's.
	ErrForeign = errors.New("bridge: message of another identity")
	// ErrNoDownlink answers requests of the platform nobody takes.
	ErrNoDownlink = errors.New("bridge: no downlink")
)
