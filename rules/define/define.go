// SPDX-License-Identifier: Apache-2.0

// Package define is rules written as JSON: for files, for HTTP, for people who do
// not write Go.
//
//	{"id":"heat","mode":"at-least-once",
//	 "sql":"SELECT deviceName() AS d, t FROM \"/a1Lamps0001/+/user/update\" WHERE t > 38",
//	 "actions":[{"type":"webhook","url":"https://example.com/heat"},
//	            {"type":"republish","topic":"/a1Fans00001/fan-1/user/get","qos":1}]}
package define

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openalink/iot/rules"
)

// ErrInvalid is what definitions that cannot become rules fail with.
var ErrInvalid = errors.New("define: invalid")

// Definition is a rule in JSON.
type Definition struct {
	ID      string            `json:"id"`
	SQL     string            `json:"sql"`
	Mode    string            `json:"mode,omitempty"` // "best-effort", which is the default, or "at-least-once"
	Version int               `json:"version,omitempty"`
	Actions []json.RawMessage `json:"actions"`
	OnError json.RawMessage   `json:"onError,omitempty"`
}

// Kind makes the sink of an action from its JSON, members of every action
// included. A sink that is an io.Closer is closed when its rule ends.
type Kind func(action json.RawMessage) (rules.Sink, error)

// common are the members of every action.
type common struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Batch   int    `json:"batch"`
	Lanes   int    `json:"lanes"`
	Timeout string `json:"timeout"` // as in "15s"
	Retry   struct {
		Attempts int    `json:"attempts"`
		Min      string `json:"min"`
		Max      string `json:"max"`
	} `json:"retry"`
}

// Common names the members that every action may have, beside those of its kind.
func Common() []string { return []string{"type", "name", "batch", "lanes", "timeout", "retry"} }

// built is a rule and what must be closed when it ends.
type built struct {
	rule   rules.Rule
	closer []io.Closer
}

func (b *built) close() error {
	var errs []error
	for _, c := range b.closer {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// reserved begins the ids of rules that package rules/scene puts.
const reserved = "scene."

// build makes the rule. When it fails, nothing is left open.
func build(d Definition, kinds map[string]Kind) (*built, error) {
	if strings.HasPrefix(d.ID, reserved) {
		return nil, fmt.Errorf("%w: rule %.64q: ids that begin with %s are those of scenes", ErrInvalid, d.ID, reserved)
	}
	b := &built{rule: rules.Rule{ID: d.ID, SQL: d.SQL, Version: d.Version}}
	switch d.Mode {
	case "", rules.BestEffort.String():
	case rules.AtLeastOnce.String():
		b.rule.Mode = rules.AtLeastOnce
	default:
		return nil, fmt.Errorf("%w: rule %.64q: mode %.32q: best-effort or at-least-once", ErrInvalid, d.ID, d.Mode)
	}
	for i, raw := range d.Actions {
		a, err := b.action(raw, kinds)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: rule %.64q: action %d: %w", ErrInvalid, d.ID, i+1, err), b.close())
		}
		b.rule.Actions = append(b.rule.Actions, a)
	}
	if len(d.OnError) > 0 && string(d.OnError) != "null" {
		a, err := b.action(d.OnError, kinds)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: rule %.64q: onError: %w", ErrInvalid, d.ID, err), b.close())
		}
		b.rule.OnError = &a
	}
	return b, nil
}

func (b *built) action(raw json.RawMessage, kinds map[string]Kind) (a rules.Action, err error) {
	var c common
	if err := json.Unmarshal(raw, &c); err != nil {
		return a, err
	}
	kind := kinds[c.Type]
	if kind == nil {
		return a, fmt.Errorf("type %.32q: there are %s", c.Type, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	a = rules.Action{Name: c.Name, Batch: c.Batch, Lanes: c.Lanes, Retry: rules.Retry{Attempts: c.Retry.Attempts}}
	for _, d := range []struct {
		name, text string
		into       *time.Duration
	}{{"timeout", c.Timeout, &a.Timeout}, {"retry.min", c.Retry.Min, &a.Retry.Min}, {"retry.max", c.Retry.Max, &a.Retry.Max}} {
		if d.text == "" {
			continue
		}
		if *d.into, err = time.ParseDuration(d.text); err != nil || *d.into <= 0 {
			return a, fmt.Errorf("%s %.32q: a duration such as \"15s\"", d.name, d.text)
		}
	}
	if a.Sink, err = kind(raw); err != nil {
		return a, err
	}
	if closer, ok := a.Sink.(io.Closer); ok {
		b.closer = append(b.closer, closer)
	}
	return a, nil
}

// Decode reads the members of an action that are its kind's own into v, a pointer
// to a structure; what neither v nor every action has is an error that names it.
func Decode(action json.RawMessage, v any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(action, &members); err != nil {
		return err
	}
	for _, name := range Common() {
		delete(members, name)
	}
	own, err := json.Marshal(members)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(own))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
