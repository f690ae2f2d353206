// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// DefaultModule is the module of a firmware that is whole.
const DefaultModule = "default"

// The bounds of a plan and the values of fields that are zero.
const (
	MaxStages         = 20
	MaxThresholds     = 20
	MaxRetries        = 20
	DefaultTimeout    = 24 * time.Hour
	DefaultRetryAfter = time.Minute
	MaxVersion        = 64 // bytes of a version
	MaxModule         = 64 // bytes of a module
)

// ErrPlan means that a Plan contradicts itself or a bound.
var ErrPlan = errors.New("ota: bad plan")

// Plan is what a campaign is to do. A campaign updates one module of one
// product to one version. The zero value of everything but Version is a choice:
// all at once, no thresholds, no retries, a day for each device.
type Plan struct {
	// Version is what devices shall report in the end.
	Version string `json:"version"`
	// Module is what is updated; empty is DefaultModule.
	Module string `json:"module,omitempty"`
	// From are the versions updated; empty is any but Version.
	From []string `json:"from,omitempty"`
	// Stages open the campaign step by step; none is one stage for all.
	Stages []Stage `json:"stages,omitempty"`
	// Rate bounds how many devices are told a minute.
	Rate Rate `json:"rate,omitzero"`
	// Concurrent bounds how many devices update at once; zero is no bound.
	Concurrent int `json:"concurrent,omitempty"`
	// Thresholds stop the campaign on its own.
	Thresholds []Threshold `json:"thresholds,omitempty"`
	// Timeout is how long a device may take from being told to reporting Version;
	// zero is DefaultTimeout.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Retries is how often a device that failed or timed out is told again, and
	// RetryAfter how long after; zero is DefaultRetryAfter.
	Retries    int           `json:"retries,omitempty"`
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	// Overwrite takes devices from older campaigns of the same module that are not
	// done with them. Without it such devices are left out.
	Overwrite bool `json:"overwrite,omitempty"`
	// Dynamic keeps the campaign open for devices that appear later, until Finish.
	Dynamic bool `json:"dynamic,omitempty"`
}

// Stage lets a share of all devices begin.
type Stage struct {
	// Percent of all devices, those of earlier stages included; rising, at most 100.
	Percent int `json:"percent"`
	// Approve has the campaign wait for Approve before this stage.
	Approve bool `json:"approve,omitempty"`
}

// Rate is how many devices are told a minute; PerMinute zero is no bound. With a
// Factor above 1 it multiplies by that each time Every further devices succeeded,
// up to Max.
type Rate struct {
	PerMinute int     `json:"perMinute,omitempty"`
	Factor    float64 `json:"factor,omitempty"`
	Every     int     `json:"every,omitempty"`
	Max       int     `json:"max,omitempty"`
}

// Threshold stops a campaign when the share of outcomes among the devices that
// are done crosses Percent: failures (with time-outs) reach it, or successes fall
// below it. It counts once Min devices are done.
type Threshold struct {
	Outcome Outcome `json:"outcome"`
	Percent int     `json:"percent"`
	Min     int     `json:"min,omitempty"`
	Abort   bool    `json:"abort,omitempty"` // otherwise pause
}

// Outcome is what a Threshold counts.
type Outcome string

// The outcomes.
const (
	Failures  Outcome = "failures"
	Successes Outcome = "successes"
)

// withDefaults checks the plan and fills its zero fields.
func (p Plan) withDefaults() (Plan, error) {
	if p.Module == "" {
		p.Module = DefaultModule
	}
	if p.Timeout == 0 {
		p.Timeout = DefaultTimeout
	}
	if p.RetryAfter == 0 {
		p.RetryAfter = DefaultRetryAfter
	}
	if len(p.Stages) == 0 {
		p.Stages = []Stage{{Percent: 100}}
	}
	if last := p.Stages[len(p.Stages)-1]; last.Percent < 100 && len(p.Stages) < MaxStages {
		p.Stages = append(slices.Clip(p.Stages), Stage{Percent: 100})
	}
	return p, p.check()
}

func (p *Plan) check() error {
	switch {
	case !ValidVersion(p.Version):
		return fmt.Errorf("%w: version %.80q is not 1 to %d printable bytes", ErrPlan, p.Version, MaxVersion)
	case !ValidModule(p.Module):
		return fmt.Errorf("%w: module %.80q", ErrPlan, p.Module)
	case slices.Contains(p.From, p.Version):
		return fmt.Errorf("%w: from version %s to itself", ErrPlan, p.Version)
	case p.Timeout < time.Second || p.RetryAfter < 0:
		return fmt.Errorf("%w: timeout %v or pause before retries %v", ErrPlan, p.Timeout, p.RetryAfter)
	case p.Retries < 0 || p.Retries > MaxRetries:
		return fmt.Errorf("%w: %d retries, at most %d", ErrPlan, p.Retries, MaxRetries)
	case p.Concurrent < 0:
		return fmt.Errorf("%w: %d devices at once", ErrPlan, p.Concurrent)
	case len(p.Thresholds) > MaxThresholds:
		return fmt.Errorf("%w: %d thresholds, at most %d", ErrPlan, len(p.Thresholds), MaxThresholds)
	case len(p.Stages) > MaxStages:
		return fmt.Errorf("%w: %d stages, at most %d", ErrPlan, len(p.Stages), MaxStages)
	}
	before := 0
	for _, s := range p.Stages {
		if s.Percent <= before || s.Percent > 100 {
			return fmt.Errorf("%w: stage of %d percent after one of %d", ErrPlan, s.Percent, before)
		}
		before = s.Percent
	}
	for _, t := range p.Thresholds {
		if t.Outcome != Failures && t.Outcome != Successes || t.Percent < 1 || t.Percent > 100 || t.Min < 0 {
			return fmt.Errorf("%w: threshold of %d percent %s from %d", ErrPlan, t.Percent, t.Outcome, t.Min)
		}
	}
	return p.Rate.check()
}

func (r Rate) check() error {
	grows := r.Factor != 0 || r.Every != 0 || r.Max != 0
	if r.PerMinute < 0 || grows && (r.PerMinute == 0 || !(r.Factor > 1 && r.Factor <= 100) || r.Every < 1 || r.Max < r.PerMinute) {
		return fmt.Errorf("%w: rate %+v", ErrPlan, r)
	}
	return nil
}

// ValidVersion reports whether v can be the version of a firmware: 1 to
// MaxVersion bytes of printable ASCII.
func ValidVersion(v string) bool { return printable(v, MaxVersion) }

// ValidModule reports whether m can name a module: 1 to MaxModule bytes of
// printable ASCII without blanks.
func ValidModule(m string) bool { return printable(m, MaxModule) && !slices.Contains([]byte(m), ' ') }

func printable(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}
