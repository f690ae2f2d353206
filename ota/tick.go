// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"math"
	"time"
)

// perDevice is the credit one device costs: a rate of one a minute earns it in
// sixty thousand milliseconds.
const perDevice = 60_000

// Tick lets time pass: it ends jobs that took too long, readies retries, opens
// the next stage, and tells devices as far as stage, rate and concurrency allow.
// tell is called for each device to be told now, in the order they came in, and
// changed for each other one whose state changed; neither may call the campaign.
// The result is when Tick is due next, zero when only another call changes
// anything.
func (c *Campaign) Tick(now time.Time, tell, changed func(device string)) time.Time {
	c.expire(now, changed)
	c.revive(now)
	c.judge(now, changed)
	for c.nextStage() {
	}
	next := c.tell(now, tell)
	c.complete()
	return c.earliest(next)
}

// expire ends what took too long.
func (c *Campaign) expire(now time.Time, changed func(string)) {
	for c.deadlines.len() > 0 {
		d := c.deadlines.first()
		j := &c.jobs[d.job]
		if j.state.Open() && j.told+c.plan.Timeout.Milliseconds() == d.at {
			if d.at > now.UnixMilli() {
				return
			}
			j.code, j.detail = 0, "the version was not reported within "+c.plan.Timeout.String()
			c.fail(now, d.job, TimedOut)
			changed(j.name)
		}
		c.deadlines.drop()
	}
}

// revive readies jobs whose pause is over.
func (c *Campaign) revive(now time.Time) {
	for c.retries.len() > 0 {
		d := c.retries.first()
		j := &c.jobs[d.job]
		if j.waits && j.changed+c.plan.RetryAfter.Milliseconds() == d.at {
			if d.at > now.UnixMilli() {
				return
			}
			j.waits = false
			c.again.push(d.job)
		}
		c.retries.drop()
	}
}

// judge applies the thresholds.
func (c *Campaign) judge(now time.Time, changed func(string)) {
	for i, t := range c.plan.Thresholds {
		if c.status != Running && c.status != Waiting || c.acknowledged(i) || !c.crossed(t) {
			continue
		}
		why := t.String()
		if t.Abort {
			_ = c.Abort(now, why, changed) // it is not over: checked above
		} else {
			_ = c.Pause(why)
		}
	}
}

// crossed reports whether the outcomes so far cross t.
func (c *Campaign) crossed(t Threshold) bool {
	bad := c.counts[Failed] + c.counts[TimedOut]
	done := bad + c.counts[Succeeded]
	if done == 0 || done < t.Min {
		return false
	}
	if t.Outcome == Successes {
		return c.counts[Succeeded]*100 < t.Percent*done
	}
	return bad*100 >= t.Percent*done
}

// quota is how many devices the present stage lets begin.
func (c *Campaign) quota() int {
	return (len(c.jobs)*c.plan.Stages[c.stage].Percent + 99) / 100
}

// nextStage opens the next stage when all of the present one is done.
func (c *Campaign) nextStage() bool {
	if c.status != Running || c.stage == len(c.plan.Stages)-1 || c.begun < c.quota() || c.Open() > 0 || c.waiting() {
		return false
	}
	c.stage++
	if c.plan.Stages[c.stage].Approve {
		c.status = Waiting
	}
	return true
}

// waiting reports whether a device that was told before waits for its retry.
func (c *Campaign) waiting() bool { return c.retries.len() > 0 || c.again.len() > 0 }

// tell names the devices that are due. The result is when the rate lets the next
// one through, zero when something else is in the way.
func (c *Campaign) tell(now time.Time, tell func(string)) time.Time {
	if c.status != Running {
		return time.Time{}
	}
	limited := c.earn(now)
	for c.ready.len()+c.again.len() > 0 {
		q := &c.again
		if q.len() == 0 {
			q = &c.ready
		}
		i := q.first()
		j := &c.jobs[i]
		if j.state != Pending || j.away || j.waits {
			q.drop()
			continue
		}
		if !c.known(j) {
			j.away = true
			q.drop()
			continue
		}
		fresh := j.attempts == 0
		switch {
		case fresh && c.begun >= c.quota(), c.plan.Concurrent > 0 && c.Open() >= c.plan.Concurrent:
			return time.Time{}
		case limited && c.credit < perDevice:
			wait := (perDevice - c.credit + c.rate() - 1) / c.rate()
			return now.Add(time.Duration(wait) * time.Millisecond)
		}
		q.drop()
		if limited {
			c.credit -= perDevice
		}
		c.notify(now, i)
		tell(j.name)
	}
	return time.Time{}
}

// known reports whether the version of a device is, where it matters. A device
// that reported none waits as if it were away.
func (c *Campaign) known(j *job) bool { return j.from != 0 || len(c.plan.From) == 0 }

// Ask is for devices that come and ask instead of being told: it reports whether
// the device is to update now. One that was not told yet begins if stage, rate
// and concurrency allow, and counts as told.
func (c *Campaign) Ask(now time.Time, device string) bool {
	i, ok := c.byName[device]
	if !ok {
		return false
	}
	j := &c.jobs[i]
	if j.state.Open() {
		return true
	}
	if j.state != Pending || j.waits || c.status != Running || !c.known(j) ||
		j.attempts == 0 && c.begun >= c.quota() || c.plan.Concurrent > 0 && c.Open() >= c.plan.Concurrent {
		return false
	}
	if c.earn(now) {
		if c.credit < perDevice {
			return false
		}
		c.credit -= perDevice
	}
	j.away = false
	c.notify(now, i)
	return true
}

// notify begins an attempt.
func (c *Campaign) notify(now time.Time, i int32) {
	j := &c.jobs[i]
	if j.attempts == 0 {
		c.begun++
	}
	j.attempts++
	j.percent, j.told = 0, now.UnixMilli()
	c.set(now, j, Notified)
	c.deadlines.push(due{j.told + c.plan.Timeout.Milliseconds(), i})
}

// earn adds the credit of the time that passed, two seconds' worth at most, and
// reports whether there is a rate at all.
func (c *Campaign) earn(now time.Time) bool {
	ms := now.UnixMilli() - c.credited
	c.credited = now.UnixMilli()
	r := c.rate()
	if r == 0 {
		return false
	}
	if ms > 0 {
		c.credit = min(c.credit+min(ms, perDevice)*r, max(perDevice, 2000*r))
	}
	return true
}

// rate is the present rate a minute.
func (c *Campaign) rate() int64 {
	r := c.plan.Rate
	if r.Factor == 0 {
		return int64(r.PerMinute)
	}
	grown := float64(r.PerMinute) * math.Pow(r.Factor, float64(c.counts[Succeeded]/r.Every))
	return int64(min(grown, float64(r.Max)))
}

// complete ends the campaign when all is done.
func (c *Campaign) complete() {
	active := c.status == Running || c.status == Waiting
	if c.plan.Dynamic && !c.finished || !active || c.Open() > 0 || c.counts[Pending] > 0 {
		return
	}
	c.status = Completed
}

// earliest returns the next time anything is due.
func (c *Campaign) earliest(next time.Time) time.Time {
	for _, f := range []*fifo[due]{&c.deadlines, &c.retries} {
		if f.len() == 0 {
			continue
		}
		if at := time.UnixMilli(f.first().at); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}
