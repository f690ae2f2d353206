// SPDX-License-Identifier: Apache-2.0

package ota

import "time"

// State is how far a device is in a campaign.
type State uint8

// The states of a device (wire facts section 13.1). Those from Succeeded on are
// final, but for one thing: a device that reports the version it was to have has
// Succeeded, whatever came before.
const (
	Pending     State = iota // not told yet, or waiting for a retry
	Notified                 // told
	Downloading              // reported progress
	Installing               // downloaded, the report of the version is awaited
	Succeeded                // reported the version
	Failed                   // reported a failure, or a version nobody asked for
	TimedOut                 // did not report the version in time
	Cancelled                // taken out before it began, or with the campaign
	states
)

var stateNames = [states]string{"pending", "notified", "downloading", "installing", "succeeded", "failed", "timed-out", "cancelled"}

// String returns the state in lower case.
func (s State) String() string {
	if s < states {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText implements encoding.TextMarshaler with String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseState is the inverse of String.
func ParseState(text string) (State, bool) {
	for s, name := range stateNames {
		if name == text {
			return State(s), true
		}
	}
	return 0, false
}

// Done reports whether the state is final.
func (s State) Done() bool { return s >= Succeeded }

// Open reports whether the device was told and is not done.
func (s State) Open() bool { return s == Notified || s == Downloading || s == Installing }

// Job is one device of a campaign.
type Job struct {
	Device   string    `json:"device"` // DeviceName
	State    State     `json:"state"`
	Percent  int       `json:"percent"`            // downloaded
	Code     Step      `json:"code,omitempty"`     // of the last failure
	Detail   string    `json:"detail,omitempty"`   // what the device, or the platform, said about it
	From     string    `json:"from,omitempty"`     // version it had when it was added
	Attempts int       `json:"attempts,omitempty"` // how often it was told
	Away     bool      `json:"away,omitempty"`     // waits for the device to connect
	Retrying bool      `json:"retrying,omitempty"` // waits for the time of the next attempt
	Changed  time.Time `json:"changed"`            // of the state
	Told     time.Time `json:"told,omitzero"`      // the last time
}

// maxDetail is how much of a device's words is kept.
const maxDetail = 96

// job is a Job as a campaign keeps it: small, because there are many.
type job struct {
	name     string
	detail   string // mostly empty
	changed  int64  // epoch milliseconds
	told     int64
	from     uint16 // number of the version
	state    State
	percent  uint8
	code     Step
	attempts uint8
	away     bool
	waits    bool // for its retry
}

func (c *Campaign) public(j *job) Job {
	p := Job{
		Device: j.name, State: j.state, Percent: int(j.percent), Code: j.code, Detail: j.detail, From: c.versions[j.from],
		Attempts: int(j.attempts), Away: j.away, Retrying: j.waits, Changed: time.UnixMilli(j.changed).UTC(),
	}
	if j.told != 0 {
		p.Told = time.UnixMilli(j.told).UTC()
	}
	return p
}
