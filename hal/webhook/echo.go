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
	known map[uint64][]echo // by what was published, oldest first
	order []uint64          // the keys of known, one for each echo, oldest first
}

type echo struct {
	at   time.Time
	by   *conn // who brought it; nil while it is awaited
	void bool  // was not published after all
}

func (e *echo) fresh(now time.Time) bool { return !e.void && now.Sub(e.at) <= echoLife }

func (e *echoes) sum(m iot.Message) uint64 {
	if e.known == nil {
		e.seed, e.known = maphash.MakeSeed(), make(map[uint64][]echo)
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
	now, sum := time.Now(), e.sum(m)
	for len(e.order) > 0 && (len(e.order) >= maxEchoes || !e.known[e.order[0]][0].fresh(now)) {
		e.drop()
	}
	e.known[sum] = append(e.known[sum], echo{at: now})
	e.order = append(e.order, sum)
}

// drop drops the oldest.
func (e *echoes) drop() {
	sum := e.order[0]
	e.order = e.order[1:]
	if e.known[sum] = e.known[sum][1:]; len(e.known[sum]) == 0 {
		delete(e.known, sum)
	}
}

// forget takes an expect back.
func (e *echoes) forget(m iot.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.known[e.sum(m)]
	for i := range list {
		if list[i].by == nil && !list[i].void {
			list[i].void = true
			return
		}
	}
}

// take reports whether m, which a connection brought, is one that was to come back.
// Each comes back once, and again on a later connection when its acknowledgement was
// lost.
func (e *echoes) take(m iot.Message, by *conn, repeated bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.order) == 0 {
		return false
	}
	now, list := time.Now(), e.known[e.sum(m)]
	if repeated {
		for i := range list {
			if list[i].by != nil && list[i].by != by && list[i].fresh(now) {
				list[i].by = by
				return true
			}
		}
	}
	for i := range list {
		if list[i].by == nil && list[i].fresh(now) {
			list[i].by = by
			return true
		}
	}
	return false
}
