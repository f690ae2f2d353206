// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"fmt"
	"strings"
	"time"
)

// Explain says in words where a device is in the campaign and what it waits for:
// the answer to "why is this device not updated?".
func (c *Campaign) Explain(now time.Time, device string) string {
	i, ok := c.byName[device]
	if !ok {
		return c.explainMissing()
	}
	j := &c.jobs[i]
	at := time.UnixMilli(j.changed).UTC().Format(time.RFC3339)
	switch j.state {
	case Pending:
		return c.explainPending(now, j)
	case Notified:
		return fmt.Sprintf("told at %s (attempt %d) and said nothing since; times out at %s", at, j.attempts, c.timeout(j))
	case Downloading:
		return fmt.Sprintf("downloading, %d %% at %s; times out at %s", j.percent, at, c.timeout(j))
	case Installing:
		return fmt.Sprintf("downloaded at %s; has not reported version %s yet; times out at %s", at, c.plan.Version, c.timeout(j))
	case Succeeded:
		return fmt.Sprintf("reported version %s at %s", c.plan.Version, at)
	default: // failed, timed out, cancelled
		return fmt.Sprintf("%s at %s after %d attempts%s", j.state, at, j.attempts, c.reason(j))
	}
}

func (c *Campaign) timeout(j *job) string {
	return time.UnixMilli(j.told + c.plan.Timeout.Milliseconds()).UTC().Format(time.RFC3339)
}

// reason renders code and words of the last failure.
func (c *Campaign) reason(j *job) string {
	var b strings.Builder
	if j.code != 0 {
		fmt.Fprintf(&b, ", step %d", j.code)
	}
	if j.detail != "" {
		b.WriteString(": " + j.detail)
	}
	return b.String()
}

func (c *Campaign) explainMissing() string {
	if c.over() {
		return fmt.Sprintf("not in the campaign, which is %s", c.status)
	}
	var what []string
	if len(c.plan.From) > 0 {
		what = append(what, "a version of "+strings.Join(c.plan.From, ", "))
	}
	if c.plan.Dynamic {
		what = append(what, "a report of its version")
	}
	if what == nil {
		return "not in the list of the campaign"
	}
	return "not in the campaign, which needs " + strings.Join(what, " and ")
}

func (c *Campaign) explainPending(now time.Time, j *job) string {
	switch {
	case c.status == Planned:
		return "the campaign was not started"
	case c.status == Waiting:
		return fmt.Sprintf("stage %d waits for approval", c.stage+1)
	case c.status == Paused:
		return "the campaign is paused: " + c.why
	case j.waits:
		at := time.UnixMilli(j.changed).Add(c.plan.RetryAfter).UTC().Format(time.RFC3339)
		return fmt.Sprintf("attempt %d of %d failed%s; told again at %s", j.attempts, c.plan.Retries+1, c.reason(j), at)
	case j.away:
		return "not connected; told when it is"
	case j.attempts == 0 && c.begun >= c.quota():
		return fmt.Sprintf("stage %d lets %d of %d devices begin; all have, and %d are not done", c.stage+1, c.quota(), len(c.jobs), c.Open())
	case c.plan.Concurrent > 0 && c.Open() >= c.plan.Concurrent:
		return fmt.Sprintf("%d devices update now, no more at once", c.Open())
	case c.rate() > 0:
		return fmt.Sprintf("waits its turn: %d devices a minute", c.rate())
	}
	return "told next"
}
