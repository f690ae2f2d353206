// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"hash/maphash"
	"sync"
	"time"

	iot "github.com/openalink/iot"
)

const (
	maxEchoes = 1 << 14
	echoLife  = 10 * time.Second
)

// echoes remembers what was published on topics devices publish to as well, so
// that it is not taken for theirs when the broker brings it back: MQTT 3.1.1 has
// no way to subscribe to the others only. Beyond maxEchoes the oldest is
// forgotten.
type echoes struct {
	mu    sync.Mutex
	seed  maphash.Seed
	count map[uint64]int
	order []echo
}

type echo struct {
	sum uint64
	at  time.Time
}

func (e *echoes) sum(m iot.Message) uint64 {
	if e.count == nil {
		e.seed, e.count = maphash.MakeSeed(), make(map[uint64]int)
	}
	var h maphash.Hash
	h.SetSeed(e.seed)
	_, _ = h.WriteString(m.Topic)
	_ = h.WriteByte(0)
	_, _ = h.Write(m.Payload)
	return h.Sum64()
}

// expect notes a message that will come back.
func (e *echoes) expect(m iot.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	sum := e.sum(m)
	for len(e.order) > 0 && (len(e.order) >= maxEchoes || now.Sub(e.order[0].at) > echoLife) {
		e.drop(e.order[0].sum)
		e.order = e.order[1:]
	}
	e.count[sum]++
	e.order = append(e.order, echo{sum, now})
}

// take reports whether m is one that was to come back, and forgets it once.
func (e *echoes) take(m iot.Message) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.order) == 0 {
		return false
	}
	sum := e.sum(m)
	if e.count[sum] == 0 {
		return false
	}
	for i, old := range e.order {
		if old.sum == sum {
			e.order = append(e.order[:i], e.order[i+1:]...)
			if time.Since(old.at) > echoLife {
				e.drop(sum)
				return e.count[sum] > 0 && e.takeAgain(sum)
			}
			break
		}
	}
	e.drop(sum)
	return true
}

// takeAgain looks for a fresher one behind one that was too old.
func (e *echoes) takeAgain(sum uint64) bool {
	for i, old := range e.order {
		if old.sum == sum {
			e.order = append(e.order[:i], e.order[i+1:]...)
			e.drop(sum)
			return true
		}
	}
	return false
}

func (e *echoes) drop(sum uint64) {
	if e.count[sum]--; e.count[sum] <= 0 {
		delete(e.count, sum)
	}
}
