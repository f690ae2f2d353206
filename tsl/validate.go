// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// Property judges the JSON of one property's value. nil means accepted; otherwise
// the reason, whose pointer begins with the identifier. value is not kept.
//
// Values are compact or not, but must be valid JSON: a message is checked as a
// whole before its values are judged. Nothing is allocated for a value that is
// accepted.
func (v *Validator) Property(identifier string, value []byte) *Reason {
	i := v.properties.find(identifier, 0)
	if i < 0 {
		return unknownProperty(identifier)
	}
	if _, r := v.properties.list[i].check.judge(value, space(value, 0)); r != nil {
		return r.within(identifier)
	}
	return nil
}

func unknownProperty(identifier string) *Reason {
	return (&Reason{"", "unknown", "the model has no such property"}).within(identifier)
}

// Event judges the output of an event, a JSON object. It returns the first
// reason found, as an event is accepted as a whole or not at all.
func (v *Validator) Event(identifier string, output []byte) *Reason {
	return judgeParams(v.events, "event", identifier, output)
}

// Input judges the arguments of a service, a JSON object.
func (v *Validator) Input(service string, args []byte) *Reason {
	return judgeParams(v.inputs, "service", service, args)
}

// Output judges what a service returned, a JSON object.
func (v *Validator) Output(service string, output []byte) *Reason {
	return judgeParams(v.outputs, "service", service, output)
}

func judgeParams(all map[string]*members, what, identifier string, object []byte) *Reason {
	m, ok := all[identifier]
	if !ok {
		return &Reason{"", "unknown", fmt.Sprintf("the model has no such %s: %.60q", what, identifier)}
	}
	_, r := m.judge(object, space(object, 0))
	return r
}

// judge judges the object at b[i:]; members may be left out, unknown ones and
// those that are there already may not be there. end is behind the object.
func (m *members) judge(b []byte, i int) (end int, bad *Reason) {
	if i >= len(b) || b[i] != '{' {
		return rejected(b, i, expected("an object"))
	}
	var seen bits
	next := 0
	o := object{b: b, i: i}
	for o.next() {
		name := o.key()
		at := m.find(name, next)
		var r *Reason
		switch {
		case at < 0:
			o.i, r = rejected(b, o.i, &Reason{"", "unknown", "the model has no such member"})
		case !seen.set(at):
			o.i, r = rejected(b, o.i, &Reason{"", "duplicate", "the member is there already"})
		default:
			o.i, r = m.list[at].check.judge(b, o.i)
			next = at + 1
		}
		if r != nil && bad == nil {
			bad = r.within(name)
		}
	}
	if o.broken {
		return o.i, broken()
	}
	return o.i, bad
}

// bits notes which members of an object were there.
type bits [(MaxBlocks*MaxFeatures + 63) / 64]uint64

// set reports false when the bit is set already.
func (s *bits) set(i int) bool {
	if s[i/64]&(1<<(i%64)) != 0 {
		return false
	}
	s[i/64] |= 1 << (i % 64)
	return true
}

// rejected goes behind a value that is not accepted.
func rejected(b []byte, i int, r *Reason) (int, *Reason) {
	end, ok := skip(b, i)
	if !ok {
		return len(b), broken()
	}
	return end, r
}

// judge judges the value at b[i:] and returns where it ends.
func (c *check) judge(b []byte, i int) (end int, r *Reason) {
	switch c.kind {
	case kindInt, kindNumber:
		end = scalarEnd(b, i)
		if r = c.number(b[min(i, len(b)):end]); r != nil {
			return rejected(b, i, r)
		}
		return end, nil
	case kindWord:
		end = scalarEnd(b, i)
		if r = c.word(b[min(i, len(b)):end]); r != nil {
			return rejected(b, i, r)
		}
		return end, nil
	case kindText, kindDate:
		return c.text(b, i)
	case kindArray:
		return c.array(b, i)
	case kindStruct:
		return c.members.judge(b, i)
	}
	return rejected(b, i, expected("a type of the model"))
}

func (c *check) number(raw []byte) *Reason {
	n, ok := number(raw)
	switch {
	case !ok:
		return expected("a number")
	case c.kind == kindInt && n != math.Trunc(n):
		return &Reason{"", "type", fmt.Sprintf("%.40s is not a whole number", raw)}
	case n < c.min:
		return &Reason{"", "range", fmt.Sprintf("%.40s is below %s", raw, decimal(c.min))}
	case n > c.max:
		return &Reason{"", "range", fmt.Sprintf("%.40s is above %s", raw, decimal(c.max))}
	case c.hasStep && !c.onStep(n):
		return &Reason{"", "step", fmt.Sprintf("%.40s is not a multiple of the step %s", raw, decimal(c.step))}
	}
	return nil
}

// onStep reports whether n is a whole number of steps from the least value (from
// zero without one), as far as binary fractions can say.
func (c *check) onStep(n float64) bool {
	steps := (n - c.from) / c.step
	return math.Abs(steps-math.Round(steps)) <= 1e-9*max(1, math.Abs(steps))
}

func (c *check) word(raw []byte) *Reason {
	if n, ok := number(raw); ok {
		for _, known := range c.values {
			if n == known {
				return nil
			}
		}
	}
	return &Reason{"", "value", fmt.Sprintf("%.40s is none of the values of the model", bytes.TrimSpace(raw))}
}

// text judges texts and dates.
func (c *check) text(b []byte, i int) (int, *Reason) {
	if i >= len(b) || b[i] != '"' {
		if c.kind == kindDate {
			return rejected(b, i, expected("the text of epoch milliseconds"))
		}
		return rejected(b, i, expected("a text"))
	}
	end, escaped, ok := stringEnd(b, i)
	if !ok {
		return len(b), broken()
	}
	raw := b[i+1 : end-1]
	if c.kind == kindDate {
		if !isMillis(raw) {
			return end, expected("the text of epoch milliseconds")
		}
		return end, nil
	}
	n := len(raw)
	if escaped {
		n = textLen(raw)
	}
	if n > c.most {
		return end, &Reason{"", "length", fmt.Sprintf("%d bytes, at most %d", n, c.most)}
	}
	return end, nil
}

// isMillis reports whether raw is a decimal of up to 18 digits.
func isMillis(raw []byte) bool {
	raw = bytes.TrimPrefix(raw, []byte{'-'})
	if len(raw) == 0 || len(raw) > 18 {
		return false
	}
	for _, d := range raw {
		if d < '0' || d > '9' {
			return false
		}
	}
	return true
}

func (c *check) array(b []byte, i int) (end int, bad *Reason) {
	if i >= len(b) || b[i] != '[' {
		return rejected(b, i, expected("an array"))
	}
	start := i
	if i = space(b, i+1); i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for n := 0; ; n++ {
		if n == c.most {
			return rejected(b, start, &Reason{"", "size", fmt.Sprintf("more than %d elements", c.most)})
		}
		var r *Reason
		if i, r = c.item.judge(b, i); r != nil {
			return rejected(b, start, r.within(strconv.Itoa(n)))
		}
		if i = space(b, i); i >= len(b) || b[i] != ',' && b[i] != ']' {
			return len(b), broken()
		}
		if b[i] == ']' {
			return i + 1, nil
		}
		i = space(b, i+1)
	}
}
