// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrRecord means that a stored record of this package is damaged.
var ErrRecord = errors.New("ota: damaged record")

// head is what a campaign keeps beside its jobs.
type head struct {
	Plan     Plan   `json:"plan"`
	Status   Status `json:"status"`
	Why      string `json:"why,omitempty"`
	Stage    int    `json:"stage,omitempty"`
	Finished bool   `json:"finished,omitempty"`
	Started  int64  `json:"started,omitempty"`
	Seen     uint32 `json:"seen,omitempty"`
}

// MarshalJSON writes all of the campaign but its jobs, which AppendJob writes.
// It stays the same while only jobs change.
func (c *Campaign) MarshalJSON() ([]byte, error) {
	return json.Marshal(head{c.plan, c.status, c.why, c.stage, c.finished, c.started, c.seen})
}

// Restore makes a campaign of what MarshalJSON wrote. Jobs are then added with
// RestoreJob, and Settle ends it. The error wraps ErrRecord.
func Restore(text []byte) (*Campaign, error) {
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	c, err := New(h.Plan)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if h.Stage < 0 || h.Stage >= len(c.plan.Stages) {
		return nil, fmt.Errorf("%w: stage %d", ErrRecord, h.Stage)
	}
	c.status, c.why, c.stage, c.finished = h.Status, h.Why, h.Stage, h.Finished
	c.started, c.seen = h.Started, h.Seen
	return c, nil
}

const (
	flagAway = 1 << iota
	flagWaits
)

// AppendJob appends what is to be kept of a device, nothing when it is not in.
// The version it had is written out: records do not depend on each other.
func (c *Campaign) AppendJob(dst []byte, device string) []byte {
	i, ok := c.byName[device]
	if !ok {
		return dst
	}
	j := &c.jobs[i]
	var flags byte
	if j.away {
		flags |= flagAway
	}
	if j.waits {
		flags |= flagWaits
	}
	dst = append(dst, byte(j.state), j.percent, byte(j.code), j.attempts, flags)
	dst = binary.AppendVarint(dst, j.changed)
	dst = binary.AppendVarint(dst, j.told)
	from := c.versions[j.from]
	dst = append(append(dst, byte(len(from))), from...)
	return append(dst, j.detail...)
}

// ParseJob reads what AppendJob wrote. The error wraps ErrRecord.
func ParseJob(device string, b []byte) (Job, error) {
	bad := fmt.Errorf("%w: job of %.40q", ErrRecord, device)
	if len(b) < 5 || State(b[0]) >= states || b[1] > 100 {
		return Job{}, bad
	}
	p := Job{
		Device: device, State: State(b[0]), Percent: int(b[1]), Code: Step(b[2]), Attempts: int(b[3]),
		Away: b[4]&flagAway != 0, Retrying: b[4]&flagWaits != 0,
	}
	b = b[5:]
	changed, n := binary.Varint(b)
	if n <= 0 {
		return Job{}, bad
	}
	b = b[n:]
	told, n := binary.Varint(b)
	if n <= 0 || len(b) == n || len(b)-n-1 < int(b[n]) {
		return Job{}, bad
	}
	size := int(b[n])
	b = b[n+1:]
	p.From, p.Detail = string(b[:size]), string(b[size:])
	if len(p.Detail) > maxDetail+8 {
		return Job{}, bad
	}
	p.Changed = time.UnixMilli(changed).UTC()
	if told != 0 {
		p.Told = time.UnixMilli(told).UTC()
	}
	return p, nil
}

// RestoreJob adds a device as it was kept. The error wraps ErrRecord.
func (c *Campaign) RestoreJob(p Job) error {
	if _, known := c.byName[p.Device]; known {
		return fmt.Errorf("%w: two jobs of %.40q", ErrRecord, p.Device)
	}
	j := job{
		name: strings.Clone(p.Device), detail: p.Detail, changed: p.Changed.UnixMilli(), from: c.number(p.From),
		state: p.State, percent: uint8(p.Percent), code: p.Code, attempts: uint8(p.Attempts), away: p.Away, waits: p.Retrying,
	}
	if !p.Told.IsZero() {
		j.told = p.Told.UnixMilli()
	}
	c.byName[j.name] = int32(len(c.jobs))
	c.jobs = append(c.jobs, j)
	c.counts[j.state]++
	if j.attempts > 0 || j.state.Done() {
		c.begun++
	}
	return nil
}

// Settle readies a restored campaign: what waited waits again. In one that was
// aborted nobody waits, whatever their records say: Abort need not write them.
func (c *Campaign) Settle(now time.Time) {
	c.credited = now.UnixMilli()
	for i := range c.jobs {
		j, n := &c.jobs[i], int32(i)
		if c.status == Aborted && (j.state == Pending || j.state == Notified) {
			j.detail = aborted
			c.set(now, j, Cancelled)
		}
		switch {
		case j.state.Open():
			c.deadlines.push(due{j.told + c.plan.Timeout.Milliseconds(), n})
		case j.state != Pending || j.away:
		case j.waits:
			c.retries.push(due{j.changed + c.plan.RetryAfter.Milliseconds(), n})
		case j.attempts > 0:
			c.again.push(n)
		default:
			c.ready.push(n)
		}
	}
	byTime := func(a, b due) int { return int(a.at - b.at) }
	slices.SortStableFunc(c.deadlines.list, byTime)
	slices.SortStableFunc(c.retries.list, byTime)
}
