// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/tidwall/gjson"
)

// Property judges the JSON of one property's value. nil means accepted; otherwise
// the reason, whose pointer begins with the identifier. value is not kept.
//
// Values are compact or not, but must be valid JSON: a message is checked as a
// whole before its values are judged. Nothing is allocated for a value that is
// accepted.
func (v *Validator) Property(identifier string, value []byte) *Reason {
	c := v.properties[identifier]
	if c == nil {
		return &Reason{"/" + identifier, "unknown", "the model has no such property"}
	}
	if r := c.judge(parse(value)); r != nil {
		r.Pointer = "/" + identifier + r.Pointer
		return r
	}
	return nil
}

// Event judges the output of an event, a JSON object.
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

// parse views value as JSON without copying it.
func parse(value []byte) gjson.Result {
	return gjson.Parse(unsafe.String(unsafe.SliceData(value), len(value)))
}

func judgeParams(all map[string]map[string]*check, what, identifier string, object []byte) *Reason {
	members, ok := all[identifier]
	if !ok {
		return &Reason{"", "unknown", fmt.Sprintf("the model has no such %s: %.60q", what, identifier)}
	}
	return judgeMembers(members, parse(object))
}

// judgeMembers judges an object; members may be left out, unknown ones may not be
// there.
func judgeMembers(members map[string]*check, object gjson.Result) (bad *Reason) {
	if !object.IsObject() {
		return &Reason{"", "type", "an object is expected"}
	}
	object.ForEach(func(key, value gjson.Result) bool {
		c := members[key.Str]
		if c == nil {
			bad = &Reason{"/" + key.Str, "unknown", "the model has no such member"}
			return false
		}
		if bad = c.judge(value); bad != nil {
			bad.Pointer = "/" + key.Str + bad.Pointer
			return false
		}
		return true
	})
	return bad
}

func (c *check) judge(v gjson.Result) *Reason {
	switch c.kind {
	case Int, Float, Double:
		return c.number(v)
	case Bool, Enum:
		return c.word(v)
	case Text:
		return c.text(v)
	case Date:
		return c.date(v)
	case Array:
		return c.array(v)
	case Struct:
		return judgeMembers(c.members, v)
	}
	return &Reason{"", "type", "the model has no such type"}
}

func (c *check) number(v gjson.Result) *Reason {
	if v.Type != gjson.Number || math.IsInf(v.Num, 0) {
		return &Reason{"", "type", "a number is expected"}
	}
	n := v.Num
	switch {
	case c.kind == Int && n != math.Trunc(n):
		return &Reason{"", "type", fmt.Sprintf("%.40s is not a whole number", v.Raw)}
	case n < c.min:
		return &Reason{"", "range", fmt.Sprintf("%.40s is below %s", v.Raw, decimal(c.min))}
	case n > c.max:
		return &Reason{"", "range", fmt.Sprintf("%.40s is above %s", v.Raw, decimal(c.max))}
	case c.hasStep && !c.onStep(n):
		return &Reason{"", "step", fmt.Sprintf("%.40s is not a multiple of the step %s", v.Raw, decimal(c.step))}
	}
	return nil
}

// onStep reports whether n is a whole number of steps from the least value (from
// zero without one), as far as binary fractions can say.
func (c *check) onStep(n float64) bool {
	from := 0.0
	if !math.IsInf(c.min, 0) && c.kind != Int || c.kind == Int && c.min != math.MinInt32 {
		from = c.min
	}
	steps := (n - from) / c.step
	return math.Abs(steps-math.Round(steps)) <= 1e-6*max(1, math.Abs(steps))
}

func (c *check) word(v gjson.Result) *Reason {
	if v.Type == gjson.Number {
		for _, known := range c.values {
			if v.Num == float64(known) {
				return nil
			}
		}
	}
	return &Reason{"", "value", fmt.Sprintf("%.40s is none of the values of the model", v.Raw)}
}

func (c *check) text(v gjson.Result) *Reason {
	switch {
	case v.Type != gjson.String:
		return &Reason{"", "type", "a text is expected"}
	case len(v.Str) > c.length:
		return &Reason{"", "length", fmt.Sprintf("%d bytes, at most %d", len(v.Str), c.length)}
	}
	return nil
}

// date is the text of epoch milliseconds.
func (c *check) date(v gjson.Result) *Reason {
	if v.Type == gjson.String {
		if _, err := strconv.ParseInt(v.Str, 10, 64); err == nil {
			return nil
		}
	}
	return &Reason{"", "type", "the text of epoch milliseconds is expected"}
}

func (c *check) array(v gjson.Result) (bad *Reason) {
	if !v.IsArray() {
		return &Reason{"", "type", "an array is expected"}
	}
	n := 0
	v.ForEach(func(_, element gjson.Result) bool {
		if n++; n > c.size {
			bad = &Reason{"", "size", fmt.Sprintf("more than %d elements", c.size)}
			return false
		}
		if bad = c.item.judge(element); bad != nil {
			bad.Pointer = "/" + strconv.Itoa(n-1) + bad.Pointer
			return false
		}
		return true
	})
	return bad
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
