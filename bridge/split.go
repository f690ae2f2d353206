// SPDX-License-Identifier: Apache-2.0

package bridge

import "bufio"

// Split makes Decoders of a function of package bufio or in its manner, for
// Server.Decoder: bufio.ScanLines for a protocol of lines. Messages are []byte, the
// handler's own. The function is never told that the stream ends: what is not complete
// then is dropped.
func Split(f bufio.SplitFunc) func() Decoder {
	return func() Decoder { return splitter(f) }
}

type splitter bufio.SplitFunc

// Decode implements Decoder.
func (f splitter) Decode(buf []byte) (any, int, error) {
	n, token, err := f(buf, false)
	if token == nil || err != nil {
		return nil, n, err
	}
	return append([]byte{}, token...), n, nil
}
