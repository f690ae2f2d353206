// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"time"

	iot "github.com/openalink/iot"
)

// Outcome is what became of one attempt to run a scene.
type Outcome struct {
	Time  time.Time `json:"time"` // of the end
	Scene string    `json:"scene"`
	// Key names the run: attempts at the same one share it.
	Key       string       `json:"key"`
	By        string       `json:"by"`              // topic of the message that triggered, "time" or "hand"
	Device    iot.DeviceID `json:"device,omitzero"` // that triggered
	MessageID int64        `json:"messageId,omitempty,string"`
	Held      bool         `json:"held"`            // window and conditions
	Done      int          `json:"done"`            // actions carried out so far, those of scenes in it included
	Error     string       `json:"error,omitempty"` // of those that failed
}

// Stats are counters of a scene since it was put.
type Stats struct {
	Runs    uint64    `json:"runs"`          // attempts whose conditions held
	Idle    uint64    `json:"idle"`          // those whose conditions did not
	Failed  uint64    `json:"failed"`        // attempts with an error
	Missed  uint64    `json:"missed"`        // times that came while nothing could run
	Overlap uint64    `json:"overlap"`       // times that came while the last run was under way
	Next    time.Time `json:"next,omitzero"` // run by time
	// Last are the latest outcomes, oldest first, at most 16.
	Last []Outcome `json:"last,omitempty"`
}

// keptOutcomes is how many outcomes a scene remembers.
const keptOutcomes = 16

// account counts for one scene. Set.mu guards it.
type account struct {
	stats Stats
	last  []Outcome // a ring once it is full
	at    int
}

func (a *account) add(o Outcome) {
	switch {
	case o.Error != "":
		a.stats.Failed++
	case !o.Held:
		a.stats.Idle++
	}
	if o.Held {
		a.stats.Runs++
	}
	if len(a.last) < keptOutcomes {
		a.last = append(a.last, o)
		return
	}
	a.last[a.at] = o
	a.at = (a.at + 1) % keptOutcomes
}

func (a *account) read() Stats {
	s := a.stats
	s.Last = append(append([]Outcome{}, a.last[a.at:]...), a.last[:a.at]...)
	return s
}

// tell notes an attempt.
func (s *Set) tell(x *entry, r *run, held bool, err error) Outcome {
	o := Outcome{
		Time: time.Now(), Scene: x.scene.ID, Key: r.key, By: r.by, Device: r.device, MessageID: r.messageID, Held: held,
	}
	for _, done := range r.memory.done {
		if done {
			o.Done++
		}
	}
	if err != nil {
		o.Error = err.Error()
	}
	s.mu.Lock()
	x.account.add(o)
	s.mu.Unlock()
	if s.config.Observe != nil {
		s.config.Observe(o)
	}
	return o
}
