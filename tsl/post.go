// SPDX-License-Identifier: Apache-2.0

package tsl

import "errors"

// ErrNotObject means that the params of a post are no JSON object.
var ErrNotObject = errors.New("tsl: params are not an object")

// Verdict is what one property of a post is worth.
type Verdict struct {
	Name   string
	Value  []byte  // without its wrapper
	TimeMS int64   // epoch milliseconds, 0 when the post does not say
	Reason *Reason // why it is not accepted; nil when it is
}

// Post judges the params of a property post and calls f for each property, in
// order, until f returns false. A value may be bare or wrapped as
// {"value":v,"time":ms}, each by itself; of a struct that has a member called
// "value" itself, an object counts as wrapped only when its value is an object
// (wire facts section 1 row 9). A property that comes twice is accepted the first
// time.
//
// Value is part of params, and so is Name unless it has escapes. Nothing is
// allocated while everything is accepted. The error is ErrNotObject; f may have
// been called by then when params are no JSON.
func (v *Validator) Post(params []byte, f func(Verdict) bool) error {
	i := space(params, 0)
	if i >= len(params) || params[i] != '{' {
		return ErrNotObject
	}
	var seen bits
	next := 0
	o := object{b: params, i: i}
	for o.next() {
		verdict := Verdict{Name: o.key()}
		at := v.properties.find(verdict.Name, next)
		end := verdict.take(v.properties, at, params, o.i)
		if at >= 0 && !seen.set(at) {
			verdict.Reason = (&Reason{"", "duplicate", "the property is there already"}).within(verdict.Name)
		}
		if end < 0 {
			return ErrNotObject
		}
		o.i, next = end, at+1
		if !f(verdict) {
			return nil
		}
	}
	if o.broken || space(params, o.i) < len(params) {
		return ErrNotObject
	}
	return nil
}

// take judges the value at b[i:] as that of the property at a place of m, -1 for
// one the model does not have. It returns where the value ends, -1 if b is no
// JSON.
func (v *Verdict) take(m *members, at int, b []byte, i int) (end int) {
	var w wrapper
	if i < len(b) && b[i] == '{' {
		if w = unwrap(b, i); w.broken {
			return -1
		}
		if w.wrapped && at >= 0 && m.list[at].check.bare(b[w.from]) {
			w.wrapped = false
		}
	}
	from := i
	if w.wrapped {
		from, v.TimeMS = w.from, w.timeMS
	}
	if at < 0 {
		end, v.Reason = rejected(b, from, unknownProperty(v.Name))
	} else if end, v.Reason = m.list[at].check.judge(b, from); v.Reason != nil && v.Reason.Rule != "json" {
		v.Reason.within(v.Name)
	}
	if v.Reason != nil && v.Reason.Rule == "json" {
		return -1
	}
	v.Value = b[from:end]
	if w.wrapped {
		return w.end
	}
	return end
}

// bare reports whether an object that looks like a wrapper, with a value that
// begins with the byte given, is the struct itself.
func (c *check) bare(first byte) bool {
	return c.kind == kindStruct && c.members.value && first != '{'
}

// wrapper is an object that may be {"value":v,"time":ms}.
type wrapper struct {
	wrapped bool
	from    int // of the value
	end     int // of the object
	timeMS  int64
	broken  bool
}

// unwrap looks at the object at b[i:]. It goes no further than the first member
// no wrapper has.
func unwrap(b []byte, i int) wrapper {
	var w wrapper
	o := object{b: b, i: i}
	for o.next() {
		at := o.i
		end, ok := skip(b, at)
		if !ok {
			return wrapper{broken: true}
		}
		switch string(o.name) {
		case "value":
			w.from, w.wrapped = at, true
		case "time":
			ms, ok := number(b[at:end])
			if !ok && !isNumber(b[at]) {
				return wrapper{}
			}
			if ms > 0 && ms < 1<<53 {
				w.timeMS = int64(ms)
			}
		default:
			return wrapper{}
		}
		o.i = end
	}
	if o.broken {
		return wrapper{broken: true}
	}
	w.end = o.i
	if !w.wrapped {
		return wrapper{}
	}
	return w
}

func isNumber(first byte) bool { return first == '-' || first >= '0' && first <= '9' }
