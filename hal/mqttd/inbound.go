// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"bytes"
	"weak"

	"github.com/openalink/iot/internal/mqttwire"
)

// maxKept is the longest incomplete packet that is set aside when a connection
// goes idle. A longer one keeps its buffer.
const maxKept = 2 << 10

// inbound is the receiving half of a connection: bytes that were read and not
// parsed yet. It belongs to the goroutine that reads.
type inbound struct {
	buf      *readBuffer // nil while idle
	off, end int         // the unparsed bytes of buf
	need     int         // size of the packet that is incomplete, 0 when unknown
	kept     []byte      // the unparsed bytes while idle

	// The buffer given up last. When messages still hold it, reading goes on
	// behind them instead of pinning another one.
	prev      weak.Pointer[readBuffer]
	prevEnd   int32
	prevLease uint32

	burst int32 // bytes read since the last idle moment, up to smallBuffer
	busy  bool  // bursts are long: take a large buffer
}

// next cuts the next packet out. Without one, First is zero and need is set.
func (in *inbound) next(maxBody int) (mqttwire.Packet, error) {
	if in.buf == nil {
		in.need = 0
		return mqttwire.Packet{}, nil
	}
	p, n, err := mqttwire.Split(in.buf.b[in.off:in.end], maxBody)
	if p.First != 0 {
		in.off += n
		n = 0
	}
	in.need = n
	return p, err
}

// first returns the first byte of an incomplete packet, 0 without one.
func (in *inbound) first() byte {
	if in.buf == nil || in.off == in.end {
		return 0
	}
	return in.buf.b[in.off]
}

// room makes sure there is a buffer with room to read into and returns it.
func (in *inbound) room(pool *bufferPool) []byte {
	if in.buf == nil {
		in.take(pool)
	}
	if in.off == in.end && !in.buf.shared() {
		in.off, in.end = 0, 0
	}
	size := len(in.buf.b)
	fits := in.need > 0 && size-in.off >= in.need
	if !fits && size-in.end < size/8 {
		in.move(pool)
	}
	return in.buf.b[in.end:]
}

// take leaves the idle state.
func (in *inbound) take(pool *bufferPool) {
	r, end := in.prev.Value(), int(in.prevEnd)
	if r != nil && len(r.b)-end >= len(r.b)/8+len(in.kept) && r.rejoin(in.prevLease) {
		in.buf, in.off = r, end
	} else {
		in.buf, in.off = pool.get(in.size()), 0
	}
	in.prev = weak.Pointer[readBuffer]{}
	in.end = in.off + copy(in.buf.b[in.off:], in.kept)
	in.kept = nil
}

func (in *inbound) size() int {
	if in.busy {
		return largeBuffer
	}
	return smallBuffer
}

// move goes on in another buffer. It is at most twice as large as what arrived
// of the packet, however long that claims to be.
func (in *inbound) move(pool *bufferPool) {
	rest := in.buf.b[in.off:in.end]
	next := pool.get(max(in.size(), min(in.need, 2*len(rest))))
	copy(next.b, rest)
	in.buf.unref()
	in.buf, in.off, in.end = next, 0, len(rest)
}

// got takes note of n bytes read into what room returned.
func (in *inbound) got(n int) {
	in.end += n
	if in.burst < smallBuffer {
		in.burst += int32(n)
	}
	in.busy = in.busy || in.burst >= smallBuffer
}

// park goes idle: the buffer is given up, unless much of a packet is in it.
func (in *inbound) park() {
	if in.buf == nil || in.end-in.off > maxKept {
		return
	}
	if in.off < in.end {
		in.kept = bytes.Clone(in.buf.b[in.off:in.end])
	}
	if in.buf.shared() {
		in.prev, in.prevLease, in.prevEnd = in.buf.self, in.buf.lease(), int32(in.end)
	}
	in.busy = in.burst >= smallBuffer
	in.burst = 0
	in.release()
}

// release drops the buffer for good.
func (in *inbound) release() {
	if in.buf != nil {
		in.buf.unref()
		in.buf, in.off, in.end = nil, 0, 0
	}
}
