// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"sync"
	"sync/atomic"
	"weak"
)

// Read buffers come in two sizes: a quiet connection reads with a small one,
// so that a message in flight does not pin a large one, a busy connection
// reads more at once.
const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10
)

// readBuffer is a reference-counted buffer. The read loop holds one reference
// while it reads and parses, every message in flight holds another.
type readBuffer struct {
	// state is lease<<32 | references. The lease counts how often the buffer was
	// taken, so that a former user can tell whether it is still the same one.
	state atomic.Uint64
	b     []byte
	pool  *sync.Pool // nil for buffers of odd sizes
	self  weak.Pointer[readBuffer]
}

// bufferPool hands out read buffers.
type bufferPool struct{ small, large sync.Pool }

// get returns a buffer of at least size bytes with one reference.
func (p *bufferPool) get(size int) *readBuffer {
	var pool *sync.Pool
	switch {
	case size <= smallBuffer:
		pool, size = &p.small, smallBuffer
	case size <= largeBuffer:
		pool, size = &p.large, largeBuffer
	default:
		return newReadBuffer(size, nil)
	}
	if r, ok := pool.Get().(*readBuffer); ok {
		r.state.Store(uint64(r.lease()+1)<<32 | 1)
		return r
	}
	return newReadBuffer(size, pool)
}

func newReadBuffer(size int, pool *sync.Pool) *readBuffer {
	r := &readBuffer{b: make([]byte, size), pool: pool}
	r.self = weak.Make(r)
	r.state.Store(1)
	return r
}

func (r *readBuffer) ref() { r.state.Add(1) }

func (r *readBuffer) unref() {
	if uint32(r.state.Add(^uint64(0))) == 0 && r.pool != nil {
		r.pool.Put(r)
	}
}

// shared reports whether others hold the buffer too. Only the read loop makes
// new references, so the answer false stays true for it.
func (r *readBuffer) shared() bool { return uint32(r.state.Load()) > 1 }

func (r *readBuffer) lease() uint32 { return uint32(r.state.Load() >> 32) }

// rejoin takes a reference if the buffer is still held by messages of the same
// lease.
func (r *readBuffer) rejoin(lease uint32) bool {
	for {
		s := r.state.Load()
		if uint32(s) == 0 || uint32(s>>32) != lease {
			return false
		}
		if r.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}
