// SPDX-License-Identifier: Apache-2.0

package mqttwire

import "io"

const readerSize = 4096

// Reader cuts packets out of a stream. It serves clients and tests; the front
// door has buffers of its own. It is not safe for concurrent use.
type Reader struct {
	src        io.Reader
	maxBody    int
	buf        []byte
	start, end int
}

// NewReader returns a Reader that refuses packets whose remaining length is
// over maxBody.
func NewReader(src io.Reader, maxBody int) *Reader {
	return &Reader{src: src, maxBody: maxBody, buf: make([]byte, readerSize)}
}

// Next returns the next packet, which is valid until the following call. The
// error is one of Split or of the source; io.ErrUnexpectedEOF tells that the
// source ended within a packet.
func (r *Reader) Next() (Packet, error) {
	for {
		p, n, err := Split(r.buf[r.start:r.end], r.maxBody)
		if err != nil {
			return Packet{}, err
		}
		if n > 0 && r.end-r.start >= n {
			r.start += n
			return p, nil
		}
		if err := r.fill(n); err != nil {
			return Packet{}, err
		}
	}
}

// Buffered returns how many bytes were read and not returned yet.
func (r *Reader) Buffered() int { return r.end - r.start }

// fill reads more. The buffer doubles only when it is full, so that a claimed
// length costs nothing.
func (r *Reader) fill(need int) error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.end == len(r.buf) {
		dst := r.buf
		if r.start == 0 {
			dst = make([]byte, min(max(need, readerSize), 2*len(r.buf)))
		}
		r.end = copy(dst, r.buf[r.start:r.end])
		r.buf, r.start = dst, 0
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	if err == io.EOF && r.end > r.start {
		return io.ErrUnexpectedEOF
	}
	return err
}
