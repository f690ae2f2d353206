// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"errors"
	"runtime"
	"syscall"
)

// transient reports whether a socket can be read again after an error: somebody
// it sent to is not there any more, or a datagram was too long, which Windows
// tells that way.
func transient(err error) bool {
	no, ok := errors.AsType[syscall.Errno](err)
	const reset, tooLong = 10054, 10040
	switch {
	case !ok:
		return false
	case runtime.GOOS == "windows":
		return no == reset || no == tooLong
	}
	return no == syscall.ECONNREFUSED || no == syscall.ECONNRESET
}
