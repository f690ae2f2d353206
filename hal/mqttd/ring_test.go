// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"math/rand/v2"
	"testing"
)

// TestRing marks messages done in any order, over the point where positions
// wrap around, and checks that they leave in theirs.
func TestRing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	r := &ring{head: 1<<32 - 500, tail: 1<<32 - 500}
	var open []uint32 // positions that are not done
	pushed, popped := uint16(0), uint16(0)
	for range 20_000 {
		if rng.IntN(2) == 0 && r.len() < 100 {
			pushed++
			open = append(open, r.push(pushed))
		} else if len(open) > 0 {
			i := rng.IntN(len(open))
			r.at(open[i]).done = true
			if open[i]%7 == 0 {
				r.hold(open[i], []byte{byte(open[i])})
			}
			open = append(open[:i], open[i+1:]...)
		}
		for {
			pos := r.head
			id, held, ok := r.pop()
			if !ok {
				break
			}
			popped++
			if id != popped || (len(held) == 1) != (pos%7 == 0) || len(held) == 1 && held[0] != byte(pos) {
				t.Fatalf("popped %d with %v, want %d", id, held, popped)
			}
		}
	}
	if len(r.held) != 0 && int(r.len()) < len(r.held) {
		t.Errorf("%d answers held for %d messages", len(r.held), r.len())
	}
	if len(r.slots) > 128 {
		t.Errorf("ring grew to %d for 100 messages", len(r.slots))
	}
}
