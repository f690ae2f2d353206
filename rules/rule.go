// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of rules (limits of the platform documents).
const (
	MaxRules   = 1000
	MaxActions = 10
	MaxID      = 48 // bytes of a rule's ID
)

// The errors of this package, beside *sql.Error.
var (
	ErrInvalid     = errors.New("rules: invalid")
	ErrUnknownRule = errors.New("rules: no such rule")
	ErrTooMany     = errors.New("rules: too many rules")
	ErrClosed      = errors.New("rules: closed")
)

// Mode says what happens to messages that sinks cannot take.
type Mode uint8

const (
	// BestEffort drops them.
	BestEffort Mode = iota
	// AtLeastOnce keeps its place in the log until they are taken.
	AtLeastOnce
)

// String returns "best-effort" or "at-least-once".
func (m Mode) String() string {
	if m == AtLeastOnce {
		return "at-least-once"
	}
	return "best-effort"
}

// Rule is a statement and what happens to its rows.
type Rule struct {
	// ID names the rule: 1 to 48 letters, digits, '-', '_' and '.'. An AtLeastOnce
	// rule goes on under its ID where it was.
	ID      string
	SQL     string
	Mode    Mode
	Actions []Action // 1 to 10
	// OnError gets each message that an action could not deliver; Delivery.Error
	// says why. It is tried as often as its Retry says, 3 times if that is zero.
	OnError *Action
	// Version is part of the idempotency key: raise it when a change shall count as
	// a new delivery of the same messages.
	Version int
}

// Action takes rows to a sink.
type Action struct {
	Name string // in outcomes; empty means its place, from "1" on
	Sink Sink
	// Batch is the largest number of deliveries for one call of Sink.Send; zero means
	// 1. They come as they wait: a batch is not waited for.
	Batch int
	// Lanes is how many calls run at once; zero means 4. Messages of a device stay in
	// one lane.
	Lanes int
	// Timeout ends a call of the sink; zero means 15 s.
	Timeout time.Duration
	Retry   Retry
}

// Retry is how an action goes on after a failure. The zero Retry is useful.
type Retry struct {
	// Attempts is after how many a message is given up. Zero means 3 for a
	// BestEffort rule, and for an AtLeastOnce one no bound as long as nothing gets
	// through, and 8 for a message that others pass.
	Attempts int
	Min, Max time.Duration // pauses grow from Min (zero: 1 s) to Max (zero: 30 s), by 3 each
}

func (r Retry) pause(failures int) time.Duration {
	pause, most := r.Min, r.Max
	if pause <= 0 {
		pause = time.Second
	}
	if most <= 0 {
		most = 30 * time.Second
	}
	for range failures - 1 {
		if pause *= 3; pause >= most {
			return most
		}
	}
	return min(pause, most)
}

func (r *Rule) check() error {
	switch {
	case !ValidID(r.ID):
		return fmt.Errorf("%w: id %.64q: 1 to %d of the letters, the digits and '-_.' are allowed", ErrInvalid, r.ID, MaxID)
	case r.Mode > AtLeastOnce:
		return fmt.Errorf("%w: rule %s: mode %d", ErrInvalid, r.ID, r.Mode)
	case len(r.Actions) == 0 || len(r.Actions) > MaxActions:
		return fmt.Errorf("%w: rule %s has %d actions, allowed are 1 to %d", ErrInvalid, r.ID, len(r.Actions), MaxActions)
	}
	seen := map[string]bool{}
	for i := range r.Actions {
		a := &r.Actions[i]
		if a.Name == "" {
			a.Name = fmt.Sprint(i + 1)
		}
		if seen[a.Name] {
			return fmt.Errorf("%w: rule %s has two actions %q", ErrInvalid, r.ID, a.Name)
		}
		seen[a.Name] = true
		if err := a.check(r.ID); err != nil {
			return err
		}
	}
	if r.OnError == nil {
		return nil
	}
	if r.OnError.Name == "" {
		r.OnError.Name = "error"
	}
	return r.OnError.check(r.ID)
}

func (a *Action) check(rule string) error {
	switch {
	case a.Sink == nil:
		return fmt.Errorf("%w: rule %s: action %s has no sink", ErrInvalid, rule, a.Name)
	case a.Batch < 0 || a.Lanes < 0 || a.Lanes > 256 || a.Timeout < 0 || a.Retry.Attempts < 0:
		return fmt.Errorf("%w: rule %s: action %s has a bound out of range", ErrInvalid, rule, a.Name)
	}
	if a.Batch == 0 {
		a.Batch = 1
	}
	if a.Lanes == 0 {
		a.Lanes = 4
	}
	if a.Timeout == 0 {
		a.Timeout = 15 * time.Second
	}
	return nil
}

// ValidID reports whether s can name a rule, or a group of consumers: 1 to MaxID of
// the letters, the digits, '-', '_' and '.'.
func ValidID(s string) bool {
	if s == "" || len(s) > MaxID {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
