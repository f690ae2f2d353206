// SPDX-License-Identifier: Apache-2.0

//go:build unix

package sniff

import (
	"errors"
	"io"
	"net"
	"syscall"
)

const canPeek = true

// peekTCP waits for the first byte and leaves it where it is.
func peekTCP(nc *net.TCPConn) (byte, error) {
	rc, err := nc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var first [1]byte
	var n int
	var failed error
	err = rc.Read(func(fd uintptr) bool {
		n, failed = peekOnce(int(fd), first[:])
		return !errors.Is(failed, syscall.EAGAIN)
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, failed
	case n == 0:
		return 0, io.EOF
	}
	return first[0], nil
}

func peekOnce(fd int, b []byte) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(fd, b, syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
