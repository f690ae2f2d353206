// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"sync"
	"time"

	iot "github.com/openalink/iot"
)

// Status is what became of a delivery.
type Status string

// What becomes of deliveries. Retrying is told once for each failed call, the
// others once for each delivery.
const (
	Delivered  Status = "delivered"
	Retrying   Status = "retrying"
	DeadLetter Status = "dead-letter" // given up and kept
	Failed     Status = "failed"      // given up
	Dropped    Status = "dropped"     // the rule's window was full
	Throttled  Status = "throttled"   // Config.Rate was reached
)

// Outcome is what became of one delivery, or of a message a rule had no room for.
type Outcome struct {
	Time      time.Time     `json:"time"`
	Rule      string        `json:"rule"`
	Action    string        `json:"action,omitempty"`
	MessageID int64         `json:"messageId,string"`
	Device    iot.DeviceID  `json:"device"`
	Topic     string        `json:"topic"`
	Status    Status        `json:"status"`
	Cause     string        `json:"cause,omitempty"` // the text of the error
	Took      time.Duration `json:"took,omitempty"`  // of the sink's call
}

// Stats are counters of a rule since it was put.
type Stats struct {
	Matched    uint64 `json:"matched"`    // messages that passed the statement
	Delivered  uint64 `json:"delivered"`  // deliveries taken by sinks
	Retries    uint64 `json:"retries"`    // calls of sinks that failed for now
	Failed     uint64 `json:"failed"`     // deliveries given up
	DeadLetter uint64 `json:"deadLetter"` // of these, kept
	Dropped    uint64 `json:"dropped"`    // messages without room
	Throttled  uint64 `json:"throttled"`  // messages over the rate
	Slow       uint64 `json:"slow"`       // calls of sinks that took over a second
	Pending    int    `json:"pending"`    // messages under way
	Behind     bool   `json:"behind"`     // the rule reads the log by itself
	Next       uint64 `json:"next"`       // where it goes on after a crash
	// Last are the latest outcomes, oldest first, at most 16.
	Last []Outcome `json:"last,omitempty"`
}

// keptOutcomes is how many outcomes a rule remembers.
const keptOutcomes = 16

// account counts for one rule.
type account struct {
	mu    sync.Mutex
	stats Stats
	last  []Outcome // a ring once it is full
	at    int
}

func (a *account) matched() {
	a.mu.Lock()
	a.stats.Matched++
	a.mu.Unlock()
}

func (a *account) add(o Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.Took > time.Second {
		a.stats.Slow++
	}
	switch o.Status {
	case Delivered:
		a.stats.Delivered++
	case Retrying:
		a.stats.Retries++
	case DeadLetter:
		a.stats.DeadLetter++
		a.stats.Failed++
	case Failed:
		a.stats.Failed++
	case Dropped:
		a.stats.Dropped++
	case Throttled:
		a.stats.Throttled++
	}
	if len(a.last) < keptOutcomes {
		a.last = append(a.last, o)
		return
	}
	a.last[a.at] = o
	a.at = (a.at + 1) % keptOutcomes
}

func (a *account) read() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stats
	s.Last = append(append([]Outcome{}, a.last[a.at:]...), a.last[:a.at]...)
	return s
}
