// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package sniff

import (
	"errors"
	"net"
)

const canPeek = false

func peekTCP(*net.TCPConn) (byte, error) { return 0, errors.ErrUnsupported }
