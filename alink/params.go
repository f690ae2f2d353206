// SPDX-License-Identifier: Apache-2.0

package alink

// EventParams returns the output values of an event and its time in epoch
// milliseconds, 0 when it has none. Documents wrap them as
// {"value":{...},"time":ms}, devices send the bare object: params count as wrapped
// if their only members are value, an object, and perhaps time, a number (wire
// facts, section 1 row 8). The value is part of params.
func EventParams(params []byte) (value []byte, timeMS int64) {
	w, _, f := scanWrapped(params, space(params, 0), MaxDepth)
	if f != sound || !w.ok || w.value[0] != '{' {
		return params, 0
	}
	return w.value, w.timeMS
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
	if i, ft := eachProperty(params, f); ft != sound {
		return malformed(ft, i)
	}
	return nil
}

func eachProperty(b []byte, f func(string, []byte, int64) bool) (int, fault) {
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return i, notObject
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, sound
	}
	for {
		start := i
		end, at, ft := scanKey(b, i)
		if ft != sound {
			return at, ft
		}
		w, end2, ft := scanWrapped(b, at, MaxDepth-1)
		if ft != sound {
			return end2, ft
		}
		value := b[at:end2]
		if w.ok {
			value = w.value
		}
		if !f(keyText(b[start+1:end-1]), value, w.timeMS) {
			return end2, sound
		}
		if i, ft = next(b, end2, '}'); ft != sound || b[i-1] == '}' {
			return i, ft
		}
		i = space(b, i)
	}
}

// keyText returns a key's text, copying only if it has escapes.
func keyText(raw []byte) string {
	for _, c := range raw {
		if c == '\\' {
			return unescape(raw)
		}
	}
	return view(raw)
}

// wrapped is what {"value":...,"time":...} holds.
type wrapped struct {
	value  []byte
	timeMS int64
	ok     bool
}

// scanWrapped scans the value at b[i:] and tells whether it is wrapped.
func scanWrapped(b []byte, i, depth int) (w wrapped, end int, f fault) {
	if i >= len(b) || b[i] != '{' {
		end, f = scanValue(b, i, depth)
		return wrapped{}, end, f
	}
	if depth == 0 {
		return wrapped{}, i, tooDeep
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return wrapped{}, i + 1, sound
	}
	foreign := false
	for {
		start := i
		keyEnd, at, f := scanKey(b, i)
		if f != sound {
			return wrapped{}, at, f
		}
		if i, f = scanValue(b, at, depth-1); f != sound {
			return wrapped{}, i, f
		}
		foreign = foreign || !w.take(b[start+1:keyEnd-1], b[at:i])
		if i, f = next(b, i, '}'); f != sound {
			return wrapped{}, i, f
		}
		if b[i-1] == '}' {
			break
		}
		i = space(b, i)
	}
	if foreign || w.value == nil {
		return wrapped{}, i, sound
	}
	w.ok = true
	return w, i, sound
}

// take keeps a member of a wrapper and reports whether it may be in one.
func (w *wrapped) take(key, value []byte) bool {
	switch string(key) {
	case "value":
		w.value = value
		return true
	case "time":
		ms, ok := millis(value)
		w.timeMS = ms
		return ok
	}
	return false
}
