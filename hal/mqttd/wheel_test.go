// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestWheel checks the wheel against the rule it stands for: a connection is
// found in the tick after it was silent for its limit, not before, whatever
// happens in between.
func TestWheel(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	w := new(wheel)
	alive := make(map[*conn]bool)
	add := func() {
		c := new(conn)
		c.limit.Store(rng.Int32N(200))
		c.last.Store(w.now.Load())
		w.add(c)
		alive[c] = true
	}
	for range 100 {
		add()
	}
	for now := int32(1); now < 2000; now++ {
		if rng.IntN(50) == 0 {
			now += rng.Int32N(100) // the machine slept
		}
		found := make(map[*conn]bool)
		for _, c := range w.expired(now) {
			found[c] = true
		}
		for c := range alive {
			limit := c.limit.Load()
			if late := limit > 0 && now-c.last.Load() > limit; late != found[c] {
				t.Fatalf("tick %d: connection read at %d with limit %d found: %v", now, c.last.Load(), limit, found[c])
			}
			switch {
			case found[c], rng.IntN(100) == 0:
				w.remove(c)
				delete(alive, c)
				add()
			case rng.IntN(20) == 0:
				c.last.Store(now)
			case rng.IntN(100) == 0:
				c.limit.Store(rng.Int32N(100))
				c.last.Store(now)
				w.move(c)
			}
		}
		if got := len(w.all()); got != len(alive) {
			t.Fatalf("tick %d: %d connections, want %d", now, got, len(alive))
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int32{
		0: 0, -1: 0, 1: 1, time.Second: 1, time.Second + 1: 2, 90 * time.Second: 90, 1<<63 - 1: 1 << 30,
	} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%v) is %d, want %d", d, got, want)
		}
	}
}
