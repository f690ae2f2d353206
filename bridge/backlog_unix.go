// SPDX-License-Identifier: Apache-2.0

//go:build unix

package bridge

import (
	"net"
	"syscall"
)

// setBacklog changes how many connections may wait: listen(2) may be called again.
func setBacklog(l net.Listener, n int) error {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), n) }); err != nil {
		return err
	}
	return failed
}
