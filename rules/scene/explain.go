// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"context"
	"fmt"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/sql"
)

// Trigger is what Explain is asked about: a message, or without one a time.
type Trigger struct {
	Message *sql.Message
	Time    time.Time // zero is now; with a message its own time counts first
}

// Explanation says what a scene would do, and why.
type Explanation struct {
	Scene     string              `json:"scene"`
	Triggers  []StartExplanation  `json:"triggers,omitempty"` // none of a scene in another
	Triggered bool                `json:"triggered"`
	Window    *WindowExplanation  `json:"window,omitempty"`
	When      *WhenExplanation    `json:"when,omitempty"`
	Holds     bool                `json:"holds"` // window and conditions
	Runs      bool                `json:"runs"`  // triggered, and all holds
	Actions   []ActionExplanation `json:"actions"`
}

// StartExplanation is about one trigger.
type StartExplanation struct {
	Type  string `json:"type"`
	Fires bool   `json:"fires"`
	// Rule and Statement are of one that waits for messages.
	Rule      string           `json:"rule,omitempty"`
	SQL       string           `json:"sql,omitempty"`
	Statement *sql.Explanation `json:"statement,omitempty"`
	Next      time.Time        `json:"next,omitzero"` // of one by time
	Error     string           `json:"error,omitempty"`
}

// WindowExplanation is about the window.
type WindowExplanation struct {
	Holds bool   `json:"holds"`
	Local string `json:"local"` // the time that was judged, as its zone has it
}

// WhenExplanation is about a condition: a comparison, or several joined.
type WhenExplanation struct {
	Holds  bool              `json:"holds"`
	Join   string            `json:"join,omitempty"` // all or any
	Parts  []WhenExplanation `json:"parts,omitempty"`
	Device iot.DeviceID      `json:"device,omitzero"`
	Text   string            `json:"text,omitempty"`
	Result string            `json:"result,omitempty"` // true, false or unknown
	Reason string            `json:"reason,omitempty"` // the value
}

// ActionExplanation is about one action.
type ActionExplanation struct {
	Action
	Inner *Explanation `json:"inner,omitempty"` // of the scene it runs
}

// Explain says what the scene would make of a trigger by the values of now, and
// why. All conditions are judged; nothing is done.
func (s *Set) Explain(ctx context.Context, id string, t Trigger) (Explanation, error) {
	x := s.find(id)
	switch {
	case x == nil:
		return Explanation{}, fmt.Errorf("%w: %.64q", ErrUnknownScene, id)
	case x.compiled == nil:
		return Explanation{}, fmt.Errorf("%w: scene %s does not run: %w", ErrInvalid, id, x.err)
	}
	var by iot.DeviceID
	if t.Message != nil {
		by = t.Message.Device
		if !t.Message.Time.IsZero() {
			t.Time = t.Message.Time
		}
	}
	if t.Time.IsZero() {
		t.Time = time.Now()
	}
	e, err := s.explain(ctx, x.compiled, t.Time, by)
	if err != nil {
		return Explanation{}, err
	}
	n := 0
	for i, st := range x.compiled.starts {
		if st.sql != "" {
			n++
		}
		why := s.explainStart(ruleID(id, n), &st, t)
		why.Type = x.scene.Triggers[i].Type
		e.Triggers = append(e.Triggers, why)
		e.Triggered = e.Triggered || why.Fires
	}
	e.Runs = e.Triggered && e.Holds
	return e, nil
}

func (s *Set) explainStart(rule string, st *start, t Trigger) StartExplanation {
	if st.sql == "" {
		e := StartExplanation{Next: st.next(t.Time)}
		switch {
		case t.Message != nil:
		case st.cron != nil:
			e.Fires = st.cron.Matches(t.Time)
		default:
			e.Fires = t.Time.UnixNano()%int64(st.every) == 0
		}
		return e
	}
	e := StartExplanation{Rule: rule, SQL: st.sql}
	if t.Message == nil {
		return e
	}
	why, err := s.config.Runner.Explain(rule, t.Message)
	if err != nil {
		e.Error = err.Error()
		return e
	}
	e.Statement, e.Fires = &why, why.Passed
	return e
}

// explain judges what follows the trigger, scenes in it included: how deep they go
// was checked when they were put.
func (s *Set) explain(ctx context.Context, c *compiled, at time.Time, by iot.DeviceID) (e Explanation, err error) {
	e = Explanation{Scene: c.ID, Holds: true, Actions: []ActionExplanation{}}
	if c.window != nil {
		e.Holds = c.window.holds(at)
		e.Window = &WindowExplanation{Holds: e.Holds, Local: at.In(c.window.zone).Format("Mon 2006-01-02 15:04 MST")}
	}
	if c.when != nil {
		why, err := c.when.explain(ctx, s.config.Platform.Latest, by)
		if err != nil {
			return e, err
		}
		e.When, e.Holds = &why, e.Holds && why.Holds
	}
	for _, a := range c.Actions {
		if a.Device.IsZero() && (a.Type == "set" || a.Type == "call") {
			a.Device = by
		}
		out := ActionExplanation{Action: a}
		if a.Type == "scene" {
			if inner := s.runnable(a.Scene); inner != nil {
				why, err := s.explain(ctx, inner, at, by)
				if err != nil {
					return e, err
				}
				why.Triggered, why.Runs = true, why.Holds
				out.Inner = &why
			}
		}
		e.Actions = append(e.Actions, out)
	}
	return e, nil
}

func (j *judgement) explain(ctx context.Context, from latest, by iot.DeviceID) (e WhenExplanation, err error) {
	if j.join == "" {
		m, err := j.message(ctx, from, by)
		if err != nil {
			return e, err
		}
		why := j.test.Explain(m)
		e = WhenExplanation{Holds: why.Passed, Device: m.Device}
		for _, c := range why.Conditions { // there is one
			e.Text, e.Result, e.Reason = c.Text, c.Result, c.Reason
		}
		return e, nil
	}
	e = WhenExplanation{Join: j.join, Holds: j.join == "all"}
	for _, p := range j.parts {
		part, err := p.explain(ctx, from, by)
		if err != nil {
			return e, err
		}
		e.Parts = append(e.Parts, part)
		if part.Holds == (j.join == "any") {
			e.Holds = part.Holds
		}
	}
	return e, nil
}
