// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is what a campaign as a whole does.
type Status string

// The states of a campaign. Aborted and Completed are final.
const (
	Planned   Status = "planned"
	Running   Status = "running"
	Waiting   Status = "waiting" // for Approve of the next stage
	Paused    Status = "paused"  // by Pause or a Threshold
	Aborted   Status = "aborted" // by Abort or a Threshold; devices that began may still end
	Completed Status = "completed"
)

// Campaign is one rollout. It is a pure state machine: it knows no clock, starts
// nothing, and the same calls give the same results. It is not safe for
// concurrent use. It keeps about 120 bytes a device, and each call about one
// device takes constant time.
//
// The caller adds devices, starts it, tells it what devices say (Report,
// Progress), and calls Tick when time has passed: Tick names the devices to be
// told next.
type Campaign struct {
	plan     Plan
	status   Status
	why      string // why it is paused or aborted
	stage    int
	finished bool // Finish was called
	started  int64

	jobs     []job
	byName   map[string]int32
	versions []string // by number; 0 is unknown
	counts   [states]int
	begun    int // jobs that were ever told, and those cancelled or done without

	ready     fifo[int32] // pending jobs that were never told
	again     fifo[int32] // those that were, which go first
	retries   fifo[due]   // in the order of their time
	deadlines fifo[due]
	credit    int64  // devices that may be told, in sixty-thousandths
	credited  int64  // when credit was counted
	seen      uint32 // thresholds that count no more, by bit
}

// due is a job and when something is due for it.
type due struct {
	at  int64
	job int32
}

// New makes a campaign of a plan. The error wraps ErrPlan.
func New(p Plan) (*Campaign, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Campaign{plan: p, status: Planned, byName: map[string]int32{}, versions: []string{""}}, nil
}

// Plan returns the plan with its defaults filled in.
func (c *Campaign) Plan() Plan { return c.plan }

// Status returns what the campaign does, and why when it is paused or aborted.
func (c *Campaign) Status() (s Status, why string) { return c.status, c.why }

// Stats are the numbers of a campaign.
type Stats struct {
	Total       int `json:"total"`
	Pending     int `json:"pending"`
	Notified    int `json:"notified"`
	Downloading int `json:"downloading"`
	Installing  int `json:"installing"`
	Succeeded   int `json:"succeeded"`
	Failed      int `json:"failed"`
	TimedOut    int `json:"timedOut"`
	Cancelled   int `json:"cancelled"`
	Stage       int `json:"stage"` // 1 is the first
}

// Stats counts the devices by state.
func (c *Campaign) Stats() Stats {
	n := &c.counts
	return Stats{
		Total: len(c.jobs), Pending: n[Pending], Notified: n[Notified], Downloading: n[Downloading], Installing: n[Installing],
		Succeeded: n[Succeeded], Failed: n[Failed], TimedOut: n[TimedOut], Cancelled: n[Cancelled], Stage: c.stage + 1,
	}
}

// Open returns how many devices were told and are not done.
func (c *Campaign) Open() int {
	return c.counts[Notified] + c.counts[Downloading] + c.counts[Installing]
}

// Job returns what the campaign knows about a device.
func (c *Campaign) Job(device string) (Job, bool) {
	i, ok := c.byName[device]
	if !ok {
		return Job{}, false
	}
	return c.public(&c.jobs[i]), true
}

// Jobs yields all devices in the order they were added. The campaign must not
// change meanwhile.
func (c *Campaign) Jobs(yield func(Job) bool) {
	for i := range c.jobs {
		if !yield(c.public(&c.jobs[i])) {
			return
		}
	}
}

// Matches reports whether a device with a version is one the plan updates.
func (c *Campaign) Matches(version string) bool {
	return version != c.plan.Version && (len(c.plan.From) == 0 || slices.Contains(c.plan.From, version))
}

// Add takes a device in. version is what it reported, empty when unknown. It
// returns false, and does nothing, when the device is in it already, when its
// version does not match, or when the campaign is over. A static list is added
// whole, without looking at unknown versions: a device that then reports the
// version is done.
func (c *Campaign) Add(now time.Time, device, version string) bool {
	if _, known := c.byName[device]; known || c.over() || version != "" && !c.Matches(version) {
		return false
	}
	i := int32(len(c.jobs))
	name := strings.Clone(device)
	c.jobs = append(c.jobs, job{name: name, changed: now.UnixMilli(), from: c.number(version)})
	c.byName[name] = i
	c.counts[Pending]++
	c.ready.push(i)
	return true
}

func (c *Campaign) over() bool { return c.status == Aborted || c.status == Completed }

// number returns the number of a version. When there are too many it is unknown.
func (c *Campaign) number(version string) uint16 {
	i := slices.Index(c.versions, version)
	if i < 0 {
		if len(c.versions) >= maxVersions || !ValidVersion(version) {
			return 0
		}
		i = len(c.versions)
		c.versions = append(c.versions, strings.Clone(version))
	}
	return uint16(i)
}

// maxVersions is how many versions a campaign tells apart.
const maxVersions = 256

// Start begins the campaign. The error wraps ErrState.
func (c *Campaign) Start(now time.Time) error {
	if c.status != Planned {
		return c.refuse("start")
	}
	c.started = now.UnixMilli()
	c.credited = c.started
	c.status = Running
	if c.plan.Stages[0].Approve {
		c.status = Waiting
	}
	return nil
}

// Pause tells no further devices until Resume. Devices that were told go on. The
// error wraps ErrState.
func (c *Campaign) Pause(why string) error {
	if c.status != Running && c.status != Waiting {
		return c.refuse("pause")
	}
	c.status, c.why = Paused, why
	return nil
}

// Resume goes on after Pause or a Threshold, which then counts no more: the
// person who resumes has seen it. The error wraps ErrState.
func (c *Campaign) Resume(now time.Time) error {
	if c.status != Paused {
		return c.refuse("resume")
	}
	c.status, c.why, c.credited = Running, "", now.UnixMilli()
	for i, t := range c.plan.Thresholds {
		if c.crossed(t) {
			c.acknowledge(i)
		}
	}
	return nil
}

// Approve opens the stage the campaign waits for. The error wraps ErrState.
func (c *Campaign) Approve(now time.Time) error {
	if c.status != Waiting {
		return c.refuse("approve")
	}
	c.status, c.credited = Running, now.UnixMilli()
	return nil
}

// Finish closes a dynamic campaign: nobody is added any more, and it completes
// when all its devices are done.
func (c *Campaign) Finish(now time.Time) {
	c.finished = true
	c.complete()
}

// Abort ends the campaign. Devices that did not report progress are cancelled,
// and named; those that did may still end. The error wraps ErrState.
func (c *Campaign) Abort(now time.Time, why string, cancelled func(device string)) error {
	if c.over() {
		return c.refuse("abort")
	}
	c.status, c.why = Aborted, why
	for i := range c.jobs {
		if j := &c.jobs[i]; j.state == Pending || j.state == Notified {
			j.detail = aborted
			c.set(now, j, Cancelled)
			cancelled(j.name)
		}
	}
	return nil
}

// aborted is why a device is cancelled with its campaign.
const aborted = "campaign aborted"

func (c *Campaign) refuse(verb string) error {
	return fmt.Errorf("%w: cannot %s while %s", ErrState, verb, c.status)
}

// set moves a job to a state and counts.
func (c *Campaign) set(now time.Time, j *job, s State) {
	c.counts[j.state]--
	c.counts[s]++
	j.state, j.changed = s, now.UnixMilli()
	if s.Done() {
		j.away, j.waits = false, false
	}
}
