// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/openalink/iot/internal/mqttwire"
)

// feed puts b into in as reads would, and hands out every packet that is
// complete.
func feed(t *testing.T, in *inbound, pool *bufferPool, b []byte, got func(mqttwire.Packet)) {
	t.Helper()
	for len(b) > 0 {
		n := copy(in.room(pool), b)
		in.got(n)
		b = b[n:]
		for {
			p, err := in.next(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			if p.First == 0 {
				break
			}
			got(p)
		}
	}
}

func publishOfSize(n int) []byte {
	return mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", Payload: make([]byte, n)})
}

// one is a handler for a single packet.
func one(t *testing.T, want []byte) func(mqttwire.Packet) {
	t.Helper()
	return func(p mqttwire.Packet) {
		if !bytes.Equal(p.Body, want[len(want)-len(p.Body):]) {
			t.Errorf("packet of %d bytes arrived wrong", len(p.Body))
		}
	}
}

// TestIdleHoldsNothing: a connection that waits holds no buffer, and of half a
// packet exactly what arrived.
func TestIdleHoldsNothing(t *testing.T) {
	var in inbound
	pool := new(bufferPool)
	b := publishOfSize(100)
	feed(t, &in, pool, append(bytes.Clone(b), b[:50]...), one(t, b))
	if in.need != len(b) {
		t.Fatalf("need is %d, want %d", in.need, len(b))
	}
	in.park()
	if in.buf != nil || len(in.kept) != 50 || cap(in.kept) > 64 {
		t.Errorf("idle with buffer %v and %d bytes in %d", in.buf != nil, len(in.kept), cap(in.kept))
	}
	feed(t, &in, pool, b[50:], one(t, b))
	in.park()
	if in.buf != nil || in.kept != nil {
		t.Error("idle with something left")
	}
}

// TestTrickleSharesABuffer: messages that come one by one while others are in
// flight do not take a buffer each.
func TestTrickleSharesABuffer(t *testing.T) {
	var in inbound
	pool := new(bufferPool)
	buffers := make(map[*readBuffer]int)
	for range 30 {
		feed(t, &in, pool, publishOfSize(90), func(mqttwire.Packet) {
			in.buf.ref() // in flight
			buffers[in.buf]++
		})
		in.park()
	}
	if len(buffers) > 2 {
		t.Errorf("30 messages of 100 bytes hold %d buffers", len(buffers))
	}
	for r, n := range buffers {
		for range n {
			r.unref()
		}
		if in.prev.Value() == r && r.rejoin(in.prevLease) {
			t.Error("a buffer nobody holds can be rejoined")
		}
	}
}

// TestRejoinAfterReuse: a buffer that somebody else has taken meanwhile is not
// rejoined.
func TestRejoinAfterReuse(t *testing.T) {
	r := newReadBuffer(smallBuffer, nil)
	lease := r.lease()
	r.ref()
	if !r.rejoin(lease) {
		t.Error("a buffer in use cannot be rejoined")
	}
	r.state.Store(uint64(lease+1)<<32 | 1) // as get does
	if r.rejoin(lease) {
		t.Error("somebody else's buffer can be rejoined")
	}
}

// TestBusyTakesLargeBuffer: the size follows what arrives.
func TestBusyTakesLargeBuffer(t *testing.T) {
	var in inbound
	pool := new(bufferPool)
	for _, c := range []struct{ bytes, want int }{
		{100, smallBuffer},
		{100, smallBuffer},
		{8000, largeBuffer}, // moved while it came in
		{100, largeBuffer},  // the burst before was long
		{100, smallBuffer},
	} {
		var size int
		feed(t, &in, pool, publishOfSize(c.bytes), func(mqttwire.Packet) { size = len(in.buf.b) })
		in.room(pool) // the read that finds nothing
		in.park()
		if size != c.want {
			t.Errorf("%d bytes read into a buffer of %d, want %d", c.bytes, size, c.want)
		}
	}
}

// TestGrowthFollowsArrival: a packet's claimed length is not believed.
func TestGrowthFollowsArrival(t *testing.T) {
	var in inbound
	pool := new(bufferPool)
	b := publishOfSize(300_000)
	for i := 0; i < len(b); i += 1000 {
		feed(t, &in, pool, b[i:min(i+1000, len(b))], one(t, b))
		if size := len(in.buf.b); size > max(largeBuffer, 2*(i+1000)+64) {
			t.Fatalf("buffer of %d for %d bytes", size, i+1000)
		}
	}
}

// TestAnySegments cuts a stream anywhere and parks at any time.
func TestAnySegments(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pool := new(bufferPool)
	for range 200 {
		s := segments{t: t, rng: rng, pool: pool}
		for range 20 {
			s.sizes = append(s.sizes, rng.IntN(1<<rng.IntN(17)))
			s.stream = append(s.stream, publishOfSize(s.sizes[len(s.sizes)-1])...)
		}
		for len(s.stream) > 0 {
			s.step()
		}
		if len(s.sizes) > 0 {
			t.Fatalf("%d packets missing", len(s.sizes))
		}
	}
}

// segments is a stream on its way.
type segments struct {
	t      *testing.T
	rng    *rand.Rand
	pool   *bufferPool
	in     inbound
	stream []byte
	sizes  []int // payloads still to come
	held   []*readBuffer
}

func (s *segments) step() {
	n := min(1+s.rng.IntN(9000), len(s.stream))
	feed(s.t, &s.in, s.pool, s.stream[:n], s.got)
	s.stream = s.stream[n:]
	if s.rng.IntN(2) == 0 {
		s.in.park()
	}
	for len(s.held) > 3 {
		s.held[0].unref()
		s.held = s.held[1:]
	}
}

func (s *segments) got(p mqttwire.Packet) {
	if want := s.sizes[0] + 4; len(p.Body) != want {
		s.t.Fatalf("got %d bytes, want %d", len(p.Body), want)
	}
	s.sizes = s.sizes[1:]
	if s.rng.IntN(2) == 0 {
		s.in.buf.ref()
		s.held = append(s.held, s.in.buf)
	}
}
