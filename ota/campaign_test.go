// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/ota"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rollout drives a campaign by hand.
type rollout struct {
	*testing.T
	c    *ota.Campaign
	now  time.Time
	told []string // since the last look
	gone []string // changed otherwise
}

func newRollout(t *testing.T, p ota.Plan, devices int) *rollout {
	t.Helper()
	p.Version = cmp.Or(p.Version, "2.0")
	c, err := ota.New(p)
	if err != nil {
		t.Fatal(err)
	}
	r := &rollout{T: t, c: c, now: epoch}
	for i := range devices {
		c.Add(r.now, name(i), "1.0")
	}
	return r
}

func name(i int) string { return fmt.Sprintf("d%d", i) }

func (r *rollout) start() *rollout {
	r.Helper()
	if err := r.c.Start(r.now); err != nil {
		r.Fatal(err)
	}
	return r
}

// pass lets time pass and returns who was told.
func (r *rollout) pass(d time.Duration) []string {
	r.now = r.now.Add(d)
	r.told, r.gone = nil, nil
	r.c.Tick(r.now, func(s string) { r.told = append(r.told, s) }, func(s string) { r.gone = append(r.gone, s) })
	return r.told
}

func (r *rollout) expect(what string, got, want any) {
	r.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (r *rollout) state(device string, want ota.State) {
	r.Helper()
	if j, _ := r.c.Job(device); j.State != want {
		r.Errorf("%s is %v, want %v", device, j.State, want)
	}
}

func (r *rollout) succeed(devices ...string) {
	for _, d := range devices {
		r.c.Report(r.now, d, "2.0")
	}
}

func (r *rollout) fail(devices ...string) {
	for _, d := range devices {
		r.c.Progress(r.now, d, ota.BurnFailed, "flash")
	}
}

func (r *rollout) status(want ota.Status) {
	r.Helper()
	if s, _ := r.c.Status(); s != want {
		r.Errorf("campaign is %s, want %s", s, want)
	}
}

func TestCampaignWay(t *testing.T) {
	r := newRollout(t, ota.Plan{}, 2)
	r.expect("before the start", r.pass(0), []string{})
	r.start()
	r.expect("told", r.pass(0), []string{"d0", "d1"})
	r.state("d0", ota.Notified)
	r.c.Progress(r.now, "d0", 0, "")
	r.c.Progress(r.now, "d0", 42, "")
	r.state("d0", ota.Downloading)
	if j, _ := r.c.Job("d0"); j.Percent != 42 || j.From != "1.0" || j.Attempts != 1 || !j.Told.Equal(epoch) {
		t.Errorf("job: %+v", j)
	}
	r.c.Progress(r.now, "d0", 100, "")
	r.state("d0", ota.Installing)
	r.c.Report(r.now, "d0", "1.0") // a boot of the old one says nothing
	r.state("d0", ota.Installing)
	r.succeed("d0")
	r.state("d0", ota.Succeeded)
	r.c.Report(r.now, "d1", "3.0")
	r.state("d1", ota.Failed)
	r.pass(0)
	r.status(ota.Completed)
	r.expect("stats", r.c.Stats(), ota.Stats{Total: 2, Succeeded: 1, Failed: 1, Stage: 1})
}

func TestCampaignTargetVersionEndsWhateverCameBefore(t *testing.T) {
	for _, before := range []func(*rollout){
		func(*rollout) {},
		func(r *rollout) { r.start() },
		func(r *rollout) { r.start().pass(0) },
		func(r *rollout) { r.start().pass(0); r.fail("d0") },
		func(r *rollout) { r.start().pass(0); r.pass(25 * time.Hour) },
		func(r *rollout) { r.start(); r.c.Cancel(r.now, "d0", "") },
		func(r *rollout) { r.start(); _ = r.c.Abort(r.now, "", func(string) {}) },
	} {
		r := newRollout(t, ota.Plan{}, 1)
		before(r)
		r.succeed("d0")
		r.state("d0", ota.Succeeded)
		if s := r.c.Stats(); s.Succeeded != 1 || s.Total != 1 || r.c.Open() != 0 {
			t.Errorf("stats %+v", s)
		}
	}
}

func TestCampaignStages(t *testing.T) {
	r := newRollout(t, ota.Plan{Stages: []ota.Stage{{Percent: 10}, {Percent: 50, Approve: true}}}, 10).start()
	r.expect("first stage", r.pass(0), []string{"d0"})
	r.expect("first stage, later", r.pass(time.Hour), []string{})
	r.succeed("d0")
	r.expect("unapproved", r.pass(0), []string{})
	r.status(ota.Waiting)
	if s := r.c.Explain(r.now, "d5"); !strings.Contains(s, "stage 2 waits for approval") {
		t.Error(s)
	}
	if err := r.c.Approve(r.now); err != nil {
		t.Fatal(err)
	}
	r.expect("second stage", len(r.pass(0)), 4)
	r.succeed("d1", "d2", "d3")
	r.expect("not all done", len(r.pass(0)), 0)
	r.succeed("d4")
	r.expect("the rest", len(r.pass(0)), 5)
	r.expect("stage", r.c.Stats().Stage, 3)
}

func TestCampaignRate(t *testing.T) {
	r := newRollout(t, ota.Plan{Rate: ota.Rate{PerMinute: 6}}, 30).start()
	total := 0
	for range 60 {
		total += len(r.pass(time.Second))
	}
	r.expect("in a minute", total, 6)
	r = newRollout(t, ota.Plan{Rate: ota.Rate{PerMinute: 60, Factor: 2, Every: 10, Max: 240}}, 10_000).start()
	var perMinute []int
	for range 5 {
		n := 0
		for range 60 {
			told := r.pass(time.Second)
			n += len(told)
			r.succeed(told...)
		}
		perMinute = append(perMinute, n)
	}
	if perMinute[0] < 60 || perMinute[0] > 240 || perMinute[1] != 240 || perMinute[4] != 240 {
		t.Errorf("a minute: %v", perMinute)
	}
}

func TestCampaignConcurrent(t *testing.T) {
	r := newRollout(t, ota.Plan{Concurrent: 3}, 10).start()
	r.expect("at once", r.pass(0), []string{"d0", "d1", "d2"})
	r.succeed("d1")
	r.fail("d2")
	r.expect("then", r.pass(0), []string{"d3", "d4"})
}

func TestCampaignThresholds(t *testing.T) {
	pause := ota.Threshold{Outcome: ota.Failures, Percent: 50, Min: 4}
	r := newRollout(t, ota.Plan{Concurrent: 4, Thresholds: []ota.Threshold{pause}}, 10).start()
	r.pass(0)
	r.fail("d0", "d1")
	r.succeed("d2")
	r.expect("below the least number", len(r.pass(0)), 3)
	r.succeed("d3")
	r.expect("paused", len(r.pass(0)), 0)
	r.status(ota.Paused)
	if s := r.c.Explain(r.now, "d9"); !strings.Contains(s, "50 % or more") {
		t.Error(s)
	}
	if err := r.c.Resume(r.now); err != nil {
		t.Fatal(err)
	}
	r.expect("resumed", len(r.pass(0)), 1)
	r.status(ota.Running)

	abort := ota.Threshold{Outcome: ota.Successes, Percent: 80, Min: 2, Abort: true}
	r = newRollout(t, ota.Plan{Concurrent: 3, Thresholds: []ota.Threshold{abort}}, 5).start()
	r.pass(0)
	r.succeed("d0")
	r.c.Progress(r.now, "d2", 10, "")
	r.fail("d1")
	r.pass(0)
	r.status(ota.Aborted)
	r.expect("cancelled by it", r.gone, []string{"d3", "d4"})
	r.state("d2", ota.Downloading)
	r.pass(25 * time.Hour)
	r.state("d2", ota.TimedOut)
}

func TestCampaignRetry(t *testing.T) {
	r := newRollout(t, ota.Plan{Retries: 1, RetryAfter: time.Minute, Timeout: time.Hour}, 2).start()
	r.pass(0)
	r.fail("d0")
	r.state("d0", ota.Pending)
	if s := r.c.Explain(r.now, "d0"); !strings.Contains(s, "attempt 1 of 2 failed, step -4: flash") {
		t.Error(s)
	}
	r.expect("too early", r.pass(59*time.Second), []string{})
	r.expect("again", r.pass(time.Second), []string{"d0"})
	r.fail("d0")
	r.state("d0", ota.Failed)
	r.pass(time.Hour)
	r.expect("timed out", r.gone, []string{"d1"})
	r.state("d1", ota.Pending)
	r.expect("told again", r.pass(time.Minute), []string{"d1"})
	r.pass(time.Hour)
	r.state("d1", ota.TimedOut)
	r.status(ota.Completed)
}

func TestCampaignAway(t *testing.T) {
	r := newRollout(t, ota.Plan{Concurrent: 1}, 3).start()
	r.expect("told", r.pass(0), []string{"d0"})
	r.c.Away(r.now, "d0")
	r.state("d0", ota.Pending)
	if s := r.c.Explain(r.now, "d0"); !strings.Contains(s, "not connected") {
		t.Error(s)
	}
	r.expect("another takes the place", r.pass(0), []string{"d1"})
	r.c.Report(r.now, "d0", "1.0")
	r.succeed("d1")
	r.pass(0)
	r.succeed(r.told...)
	r.pass(0)
	r.succeed(r.told...)
	r.pass(0)
	r.status(ota.Completed)
	r.expect("stats", r.c.Stats(), ota.Stats{Total: 3, Succeeded: 3, Stage: 1})
}

func TestCampaignDynamic(t *testing.T) {
	r := newRollout(t, ota.Plan{Dynamic: true, From: []string{"1.0"}}, 1).start()
	r.pass(0)
	r.succeed("d0")
	r.pass(0)
	r.status(ota.Running)
	r.expect("wrong version", r.c.Add(r.now, "x", "0.9"), false)
	r.expect("right version", r.c.Add(r.now, "y", "1.0"), true)
	r.expect("twice", r.c.Add(r.now, "y", "1.0"), false)
	r.expect("told", r.pass(0), []string{"y"})
	r.c.Finish(r.now)
	r.succeed("y")
	r.pass(0)
	r.status(ota.Completed)
	r.expect("too late", r.c.Add(r.now, "z", "1.0"), false)
}

func TestCampaignUnknownVersion(t *testing.T) {
	r := newRollout(t, ota.Plan{From: []string{"1.0"}}, 0)
	r.c.Add(r.now, "a", "")
	r.c.Add(r.now, "b", "")
	r.start()
	r.c.Report(r.now, "a", "0.9")
	r.state("a", ota.Cancelled)
	r.c.Report(r.now, "b", "1.0")
	r.expect("told", r.pass(0), []string{"b"})
}

func TestCampaignRefuses(t *testing.T) {
	for what, p := range map[string]ota.Plan{
		"no version":      {},
		"same version":    {Version: "1", From: []string{"1"}},
		"quoted version":  {Version: `1"`},
		"falling stages":  {Version: "1", Stages: []ota.Stage{{Percent: 50}, {Percent: 20}}},
		"too many":        {Version: "1", Stages: []ota.Stage{{Percent: 101}}},
		"retries":         {Version: "1", Retries: 99},
		"rate":            {Version: "1", Rate: ota.Rate{Factor: 2}},
		"threshold":       {Version: "1", Thresholds: []ota.Threshold{{Outcome: "x", Percent: 5}}},
		"timeout":         {Version: "1", Timeout: time.Millisecond},
		"negative":        {Version: "1", Concurrent: -1},
		"module":          {Version: "1", Module: "a b"},
		"rate shrinks":    {Version: "1", Rate: ota.Rate{PerMinute: 5, Factor: .5, Every: 1, Max: 10}},
		"many stages":     {Version: "1", Stages: make([]ota.Stage, 30)},
		"many thresholds": {Version: "1", Thresholds: make([]ota.Threshold, 30)},
	} {
		if _, err := ota.New(p); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	r := newRollout(t, ota.Plan{}, 1)
	for what, err := range map[string]error{
		"resume": r.c.Resume(r.now), "approve": r.c.Approve(r.now), "pause": r.c.Pause("x"),
	} {
		if err == nil {
			t.Errorf("%s before the start: no error", what)
		}
	}
}

func TestStates(t *testing.T) {
	var all []string
	for s := ota.Pending; s <= ota.Cancelled; s++ {
		back, ok := ota.ParseState(s.String())
		if !ok || back != s || s.Done() && s.Open() {
			t.Errorf("state %v", s)
		}
		all = append(all, s.String())
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 8 {
		t.Error(all)
	}
	if _, ok := ota.ParseState("gone"); ok {
		t.Error("an unknown state is known")
	}
}

func TestCampaignAsk(t *testing.T) {
	r := newRollout(t, ota.Plan{Concurrent: 1, Stages: []ota.Stage{{Percent: 60}}}, 3)
	r.expect("before the start", r.c.Ask(r.now, "d0"), false)
	r.start()
	r.expect("first come", r.c.Ask(r.now, "d2"), true)
	r.expect("asks again", r.c.Ask(r.now, "d2"), true)
	r.expect("one at once", r.c.Ask(r.now, "d0"), false)
	r.succeed("d2")
	r.expect("stage", r.c.Ask(r.now, "d0"), true)
	r.fail("d0")
	r.expect("stage is full", r.c.Ask(r.now, "d1"), false)
	r.expect("stranger", r.c.Ask(r.now, "x"), false)
	r.expect("done", r.c.Ask(r.now, "d0"), false)
}
