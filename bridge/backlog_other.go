// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package bridge

import "net"

func setBacklog(net.Listener, int) error { return nil }
