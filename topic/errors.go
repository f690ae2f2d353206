// SPDX-License-Identifier: Apache-2.0

package topic

import "errors"

var (
	// ErrBadTopic is wrapped by every error about a name or filter that is
	// illegal whoever uses it.
	ErrBadTopic = errors.New("topic: bad topic")
	// ErrForbidden is wrapped by every error about a topic that is legal but not
	// for this device, or not in this direction.
	ErrForbidden = errors.New("topic: forbidden")
	// ErrBadClass is wrapped by every error about a product's topic classes.
	ErrBadClass = errors.New("topic: bad topic class")
)
