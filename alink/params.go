// SPDX-License-Identifier: Apache-2.0

package alink

import "bytes"

// EventParams returns the output values of an event and its time in epoch
// milliseconds, 0 when it has none. Documents wrap them as
// {"value":{...},"time":ms}, devices send the bare object: params count as wrapped
// if their only members are value, an object, and perhaps time, a number (wire
// facts, section 1 row 8). The value is part of params.
func EventParams(params []byte) (value []byte, timeMS int64) {
	i := space(params, 0)
	_, p, f := scanProperty(params, i, MaxDepth)
	if f != sound || !p.wrapped || p.value[0] != '{' {
		return params, 0
	}
	return p.value, p.timeMS
}

// EachProperty calls f for each property in params until f returns false. Every
// property may be bare or wrapped as {"value":v,"time":ms}: without a TSL to ask,
// an object counts as wrapped if it has a value and nothing else but perhaps a
// time, which is a number (wire facts, section 1 row 9). timeMS is epoch
// milliseconds, 0 when there is none. value is part of params, and so is name
// unless it has escapes; both live as long as params.
//
// The error wraps ErrMalformed when params are not a JSON object; f may have been
// called by then.
func EachProperty(params []byte, f func(name string, value []byte, timeMS int64) bool) error {
	w := walker{b: params, i: space(params, 0)}
	for w.next() {
		name := w.key
		var p property
		w.i, p, w.fault = scanProperty(params, w.i, MaxDepth-1)
		if w.fault != sound {
			break
		}
		if !f(keyText(name), p.value, p.timeMS) {
			return nil
		}
	}
	if w.fault != sound {
		return malformed(w.fault, w.i)
	}
	return noMore(params, w.i)
}

// keyText returns a key's text, copying only if it has escapes.
func keyText(raw []byte) string {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return unescape(raw)
	}
	return view(raw)
}

// property is the value of a property and, when it was wrapped, its time.
type property struct {
	value   []byte
	timeMS  int64
	wrapped bool
}

// scanProperty scans the value at b[i:], takes it out of its wrapper if it has
// one, and returns the index behind it.
func scanProperty(b []byte, i, depth int) (int, property, fault) {
	if i >= len(b) || b[i] != '{' || depth == 0 {
		end, f := scanValue(b, i, depth)
		return end, property{value: b[i:end]}, f
	}
	var in property
	foreign := false
	w := walker{b: b, i: i}
	for w.next() {
		key := w.key
		value := w.value(depth - 1)
		if w.fault != sound {
			break
		}
		foreign = foreign || !in.take(key, value)
	}
	if foreign || in.value == nil {
		return w.i, property{value: b[i:w.i]}, w.fault
	}
	in.wrapped = true
	return w.i, in, w.fault
}

// take keeps a member of a wrapper and reports whether it may be in one.
func (p *property) take(key, value []byte) bool {
	switch string(key) {
	case "value":
		p.value = value
		return true
	case "time":
		ms, ok := millis(value)
		p.timeMS = ms
		return ok
	}
	return false
}
