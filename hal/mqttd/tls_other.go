// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package mqttd

import "net"

// tlsConn does not exist here.
type tlsConn struct{}

func newTLS(net.Conn) *tlsConn { return nil }

func (c *conn) readTLS() (int, error) { return 0, nil }

func (c *conn) readHeld() (int, error) { return 0, nil }
