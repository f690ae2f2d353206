// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package mqttd

// rawConn does not exist here: every transport is read and written with
// blocking calls.
type rawConn struct{}

func newRaw(*conn) *rawConn { return nil }

func (*rawConn) read() (int, error) { return 0, nil }

func (*rawConn) write(*outBuffer) (int, error) { return 0, nil }
