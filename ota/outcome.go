// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Report tells the campaign that a device runs a version. The target version is
// success whatever came before; a version that is neither what the device had nor
// the target ends an update that began as failed. It reports whether the job
// changed. A device that was away may be told now.
func (c *Campaign) Report(now time.Time, device, version string) bool {
	i, ok := c.byName[device]
	if !ok {
		return false
	}
	j := &c.jobs[i]
	switch {
	case version == c.plan.Version:
		if j.state == Succeeded {
			return false
		}
		if j.attempts == 0 && j.state != Cancelled {
			c.begun++
		}
		j.percent, j.code, j.detail = 100, 0, ""
		c.set(now, j, Succeeded)
		return true
	case j.from == 0:
		j.from = c.number(version)
		if j.state == Pending && !c.Matches(version) {
			j.detail = "version " + cut(version) + " is not one the campaign updates"
			c.begun++
			c.set(now, j, Cancelled)
		}
		c.back(i)
		return true
	case j.state.Open() && version != c.versions[j.from]:
		j.code, j.detail = 0, "reported version "+cut(version)
		c.fail(now, i, Failed)
		return true
	}
	return c.back(i)
}

// Back tells the campaign that a device it could not reach is there again.
func (c *Campaign) Back(device string) bool {
	i, ok := c.byName[device]
	return ok && c.back(i)
}

func (c *Campaign) back(i int32) bool {
	j := &c.jobs[i]
	if !j.away {
		return false
	}
	j.away = false
	switch {
	case j.state != Pending || j.waits:
	case j.attempts > 0:
		c.again.push(i)
	default:
		c.ready.push(i)
	}
	return true
}

// Away takes back that a device was told: it is not connected. It is told when
// Back or Report says that it is there, and does not count as told meanwhile.
func (c *Campaign) Away(now time.Time, device string) bool {
	i, ok := c.byName[device]
	if !ok || c.jobs[i].state != Notified {
		return false
	}
	j := &c.jobs[i]
	j.away = true
	j.attempts--
	if j.attempts == 0 {
		c.begun--
		j.told = 0
	}
	if c.status == Aborted {
		c.set(now, j, Cancelled)
		return true
	}
	c.set(now, j, Pending)
	return true
}

// Progress takes a device's step (wire facts section 13.1): 0 to 100 percent, or
// -1 to -4 with a word why. It reports whether the job changed.
func (c *Campaign) Progress(now time.Time, device string, step Step, detail string) bool {
	i, ok := c.byName[device]
	if !ok || !c.jobs[i].state.Open() {
		return false
	}
	j := &c.jobs[i]
	switch {
	case step.Failed():
		j.code, j.detail = step, cut(detail)
		c.fail(now, i, Failed)
	case step >= 100:
		j.percent = 100
		c.set(now, j, Installing)
	case step < 0:
		return false
	default:
		j.percent = uint8(step)
		c.set(now, j, Downloading)
	}
	return true
}

// Cancel takes a device out that is not done. It reports whether it was in.
func (c *Campaign) Cancel(now time.Time, device, why string) bool {
	i, ok := c.byName[device]
	if !ok || c.jobs[i].state.Done() {
		return false
	}
	j := &c.jobs[i]
	if j.attempts == 0 {
		c.begun++
	}
	j.detail = cut(why)
	c.set(now, j, Cancelled)
	return true
}

// fail ends an attempt: with another one, or for good as s.
func (c *Campaign) fail(now time.Time, i int32, s State) {
	j := &c.jobs[i]
	if int(j.attempts) > c.plan.Retries || c.status == Aborted {
		c.set(now, j, s)
		return
	}
	c.set(now, j, Pending)
	j.waits = true
	c.retries.push(due{j.changed + c.plan.RetryAfter.Milliseconds(), i})
}

// cut makes foreign words small and printable.
func cut(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "?")
	}
	return strings.Clone(s)
}

func (c *Campaign) acknowledged(threshold int) bool {
	return threshold < len(c.plan.Thresholds) && c.seen&(1<<threshold) != 0
}

func (c *Campaign) acknowledge(threshold int) { c.seen |= 1 << threshold }

// String says when the threshold is crossed.
func (t Threshold) String() string {
	if t.Outcome == Successes {
		return fmt.Sprintf("fewer than %d %% of the devices that are done succeeded", t.Percent)
	}
	return fmt.Sprintf("%d %% or more of the devices that are done failed", t.Percent)
}
