// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"time"

	iot "github.com/openalink/iot"
)

// Of the clock.
const (
	runTime = 2 * time.Minute // bounds one run
	late    = time.Minute     // a run that comes due longer ago is missed
	nap     = time.Minute     // the clock is looked at this often, for it may be set
)

// stir has the timetable looked at.
func (s *Set) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keepTime runs scenes when they are due, until the set closes.
func (s *Set) keepTime() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		timer.Reset(s.tick(wall()))
	}
}

// wall is the time of day: what is set by hand counts.
func wall() time.Time { return time.Now().Round(0) }

// tick starts what is due and returns when to look again.
func (s *Set) tick(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := nap
	for _, x := range s.scenes {
		if x.compiled == nil {
			continue
		}
		if at := x.due(now); !at.IsZero() {
			s.start(x, at)
		}
		for _, next := range x.next {
			if !next.IsZero() {
				wait = min(wait, next.Sub(now))
			}
		}
	}
	return max(wait, 0)
}

// due returns the time the scene is to run for, zero when it is not, and moves its
// timetable on.
func (x *entry) due(now time.Time) (at time.Time) {
	starts := x.compiled.starts
	if x.next == nil {
		x.next = make([]time.Time, len(starts))
		for i := range starts {
			x.next[i] = starts[i].next(now)
		}
	}
	for i := range starts {
		next := x.next[i]
		if next.IsZero() || next.After(now) {
			continue
		}
		x.next[i] = starts[i].next(now)
		if now.Sub(next) > late {
			x.account.stats.Missed++
		} else {
			at = next
		}
	}
	return at
}

// start runs a scene for a time; mu is held.
func (s *Set) start(x *entry, at time.Time) {
	if x.running {
		x.account.stats.Overlap++
		return
	}
	x.running = true
	s.wait.Go(func() {
		o, err := s.runOnce(s.ctx, x, "time", at, iot.DeviceID{})
		if err != nil {
			s.config.Logger.Error("scene: a run by time failed", "scene", o.Scene, "due", at, "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		x.running = false
	})
}
