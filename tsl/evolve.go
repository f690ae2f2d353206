// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"fmt"
	"math/big"
	"reflect"
)

// Effect is what a change of a model means for those who know the old one.
type Effect int

// The effects, from harmless to harmful.
const (
	// Compatible: devices and applications go on as they are.
	Compatible Effect = iota
	// UpdateDevice: what devices say stays good, but they may be asked for what they
	// do not know until their firmware is updated.
	UpdateDevice
	// Breaking: what devices say may be refused, or what applications rely on is
	// gone.
	Breaking
)

// String returns "compatible", "update device" or "breaking".
func (e Effect) String() string {
	switch e {
	case Compatible:
		return "compatible"
	case UpdateDevice:
		return "update device"
	case Breaking:
		return "breaking"
	}
	return fmt.Sprintf("effect %d", int(e))
}

// MarshalText writes the words of String.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Change is one difference of two models.
type Change struct {
	// Member is what changed: "properties/Target", "events/Leak/Litres",
	// "services/Boost/in/Minutes", with struct members and "item" for the elements
	// of an array behind it.
	Member  string `json:"member"`
	Effect  Effect `json:"effect"`
	Message string `json:"message"`
}

// Changes are the differences of two models.
type Changes []Change

// Effect is the most harmful one; Compatible without changes.
func (c Changes) Effect() Effect {
	most := Compatible
	for i := range c {
		most = max(most, c[i].Effect)
	}
	return most
}

// Evolve tells what changes when before is replaced by after. The old model may
// be nil, for one without.
func Evolve(before, after *Model) Changes {
	if before == nil {
		before = &Model{}
	}
	var d differ
	d.properties(before.Properties, after.Properties)
	d.events(before.Events, after.Events)
	d.services(before.Services, after.Services)
	return d.list
}

// differ collects changes.
type differ struct{ list Changes }

func (d *differ) say(member string, e Effect, format string, args ...any) {
	d.list = append(d.list, Change{member, e, fmt.Sprintf(format, args...)})
}

// flow is who may send a value of a member.
type flow struct {
	up   bool // the device: narrowing what is allowed breaks it
	down bool // applications: widening needs a device that knows
}

// pair walks two lists by identifier.
func pair[T any](before, after []T, id func(*T) string, f func(old, now *T)) {
	was := make(map[string]*T, len(before))
	for i := range before {
		was[id(&before[i])] = &before[i]
	}
	for i := range after {
		name := id(&after[i])
		f(was[name], &after[i])
		delete(was, name)
	}
	for i := range before {
		if was[id(&before[i])] != nil {
			f(&before[i], nil)
		}
	}
}

func (d *differ) properties(before, after []Property) {
	pair(before, after, func(p *Property) string { return p.Identifier }, func(old, now *Property) {
		switch {
		case now == nil:
			d.say("properties/"+old.Identifier, Breaking, "removed")
		case old == nil && (now.Access != ReadOnly || now.Required):
			d.say("properties/"+now.Identifier, UpdateDevice, "added")
		case old == nil:
			d.say("properties/"+now.Identifier, Compatible, "added")
		default:
			d.property("properties/"+now.Identifier, old, now)
		}
	})
}

func (d *differ) property(at string, old, now *Property) {
	switch {
	case old.Access == now.Access:
	case now.Access == ReadWrite:
		d.say(at, UpdateDevice, "access was %s, is %s", old.Access, now.Access)
	default:
		d.say(at, Breaking, "access was %s, is %s", old.Access, now.Access)
	}
	if now.Required && !old.Required {
		d.say(at, UpdateDevice, "required now")
	}
	d.named(at, old.Name, now.Name)
	d.data(at, &old.Data, &now.Data, flow{up: true, down: now.Access != ReadOnly})
}

func (d *differ) named(at, old, now string) {
	if old != now {
		d.say(at, Compatible, "name was %q, is %q", old, now)
	}
}

func (d *differ) events(before, after []Event) {
	pair(before, after, func(e *Event) string { return e.Identifier }, func(old, now *Event) {
		switch {
		case now == nil:
			d.say("events/"+old.Identifier, Breaking, "removed")
		case old == nil:
			d.say("events/"+now.Identifier, Compatible, "added")
		default:
			at := "events/" + now.Identifier
			d.named(at, old.Name, now.Name)
			if old.Type != now.Type {
				d.say(at, Compatible, "type was %s, is %s", old.Type, now.Type)
			}
			if now.Identifier != "post" { // it repeats the properties
				d.params(at, old.Output, now.Output, flow{up: true})
			}
		}
	})
}

func (d *differ) services(before, after []Service) {
	pair(before, after, func(s *Service) string { return s.Identifier }, func(old, now *Service) {
		switch {
		case now == nil:
			d.say("services/"+old.Identifier, Breaking, "removed")
		case old == nil:
			d.say("services/"+now.Identifier, UpdateDevice, "added")
		case now.Identifier == "set" || now.Identifier == "get": // they repeat the properties
		default:
			at := "services/" + now.Identifier
			d.named(at, old.Name, now.Name)
			if old.Call != now.Call {
				d.say(at, UpdateDevice, "call type was %s, is %s", old.Call, now.Call)
			}
			d.params(at+"/in", old.Input.Params, now.Input.Params, flow{down: true})
			d.params(at+"/out", old.Output, now.Output, flow{up: true})
		}
	})
}

// params compares named values.
func (d *differ) params(at string, before, after []Param, f flow) {
	pair(before, after, func(p *Param) string { return p.Identifier }, func(old, now *Param) {
		switch {
		case now == nil:
			d.say(at+"/"+old.Identifier, Breaking, "removed")
		case old == nil && f.down:
			d.say(at+"/"+now.Identifier, UpdateDevice, "added")
		case old == nil:
			d.say(at+"/"+now.Identifier, Compatible, "added")
		default:
			here := at + "/" + now.Identifier
			d.named(here, old.Name, now.Name)
			d.data(here, &old.Data, &now.Data, f)
		}
	})
}

// data compares two types.
func (d *differ) data(at string, old, now *DataType, f flow) {
	if old.Type != now.Type {
		if widens(old.Type, now.Type) && !f.down {
			d.say(at, Compatible, "type was %s, is %s", old.Type, now.Type)
		} else {
			d.say(at, Breaking, "type was %s, is %s", old.Type, now.Type)
			return
		}
	}
	switch now.Type {
	case Int, Float, Double:
		d.numeric(at, old, now, f)
	case Bool, Enum:
		d.words(at, old, now, f)
	case Text:
		d.size(at, "length", textLimit(old), textLimit(now), f)
	case Array:
		d.size(at, "size", old.Size, now.Size, f)
		if old.Item != nil && now.Item != nil {
			d.data(at+"/item", old.Item, now.Item, f)
		}
	case Struct:
		d.params(at, old.Members, now.Members, f)
	case Date:
	}
}

// widens reports whether every value of the old type is one of the new.
func widens(old, now Type) bool {
	return old == Int && (now == Float || now == Double) || old == Float && now == Double
}

func textLimit(t *DataType) int {
	if t.Length == 0 {
		return MaxText
	}
	return t.Length
}

// grown is the effect of allowing more, shrunk that of allowing less.
func (f flow) grown() Effect {
	if f.down {
		return UpdateDevice
	}
	return Compatible
}

func (f flow) shrunk() Effect {
	if f.up {
		return Breaking
	}
	return UpdateDevice
}

func (d *differ) size(at, what string, old, now int, f flow) {
	switch {
	case now > old:
		d.say(at, f.grown(), "%s was %d, is %d", what, old, now)
	case now < old:
		d.say(at, f.shrunk(), "%s was %d, is %d", what, old, now)
	}
}

func (d *differ) numeric(at string, old, now *DataType, f flow) {
	d.bound(at, "min", old.Min, now.Min, -1, f)
	d.bound(at, "max", old.Max, now.Max, 1, f)
	if !sameNumber(old.Step, now.Step) {
		e := f.shrunk()
		if now.Step == "" || divides(now.Step, old.Step) {
			e = f.grown()
		}
		d.say(at, e, "step was %q, is %q", old.Step, now.Step)
	}
	if old.Unit != now.Unit {
		d.say(at, Breaking, "unit was %q, is %q", old.Unit, now.Unit)
	}
}

// bound compares bounds; out is the sign of the direction that allows more.
func (d *differ) bound(at, what string, old, now Number, out int, f flow) {
	if sameNumber(old, now) {
		return
	}
	e := f.shrunk()
	if a, b := rational(old), rational(now); b == nil || a != nil && b.Cmp(a) == out {
		e = f.grown()
	}
	d.say(at, e, "%s was %q, is %q", what, old, now)
}

func (d *differ) words(at string, old, now *DataType, f flow) {
	if reflect.DeepEqual(old.Words, now.Words) || now.Type == Bool {
		return
	}
	pair(old.Words, now.Words, func(w *Word) string { return fmt.Sprint(w.Value) }, func(was, is *Word) {
		switch {
		case is == nil:
			d.say(at, f.shrunk(), "value %d (%s) removed", was.Value, was.Text)
		case was == nil:
			d.say(at, f.grown(), "value %d (%s) added", is.Value, is.Text)
		case was.Text != is.Text:
			d.say(at, Compatible, "value %d was called %q, is %q", is.Value, was.Text, is.Text)
		}
	})
}

// rational reads a number; nil for none.
func rational(n Number) *big.Rat {
	if len(n) > 64 {
		return nil
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return nil
	}
	return r
}

func sameNumber(a, b Number) bool {
	x, y := rational(a), rational(b)
	if x == nil || y == nil {
		return a == b
	}
	return x.Cmp(y) == 0
}

// divides reports whether b is a multiple of a.
func divides(a, b Number) bool {
	x, y := rational(a), rational(b)
	return x != nil && y != nil && x.Sign() > 0 && new(big.Rat).Quo(y, x).IsInt()
}
