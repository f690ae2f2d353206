// SPDX-License-Identifier: Apache-2.0

package bridge

import "io"

// readChunk is how many bytes ReadMessages asks for at a time.
const readChunk = 1024

// ReadMessages reads from r and hands take each message that d cuts out, until r
// or d fails, and returns that error. It is for the other end of a connection: for
// simulators and clients; Server reads with its own limits.
func ReadMessages(r io.Reader, d Decoder, take func(m any)) error {
	var buf []byte
	chunk := make([]byte, readChunk)
	for {
		n, readErr := r.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for len(buf) > 0 {
			m, taken, err := d.Decode(buf)
			if err != nil {
				return err
			}
			if taken == 0 {
				break
			}
			buf = buf[taken:]
			if m != nil {
				take(m)
			}
		}
		if readErr != nil {
			return readErr
		}
	}
}
