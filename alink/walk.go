// SPDX-License-Identifier: Apache-2.0

package alink

// walker goes through the members of the JSON object at b[i:]:
//
//	for w.next() {
//		... w.key ... w.value(depth) ...
//	}
//
// Every value must be scanned, by value or by setting i behind it. When next
// returns false, i is behind the object, or fault tells what is wrong at i.
type walker struct {
	b     []byte
	i     int    // in the loop: where the value begins
	start int    // where the key begins, at its quote
	key   []byte // without its quotes
	begun bool
	fault fault
}

// next goes to the next member.
func (w *walker) next() bool {
	if w.fault != sound || w.last() {
		return false
	}
	w.start = space(w.b, w.i)
	end, at, f := scanKey(w.b, w.start)
	w.i, w.fault = at, f
	if f != sound {
		return false
	}
	w.key = w.b[w.start+1 : end-1]
	return true
}

// last takes what stands before a member and reports whether the object ends
// there instead.
func (w *walker) last() bool {
	if w.begun {
		w.i, w.fault = next(w.b, w.i, '}')
		return w.fault != sound || w.b[w.i-1] == '}'
	}
	w.begun = true
	switch {
	case w.i >= len(w.b):
		w.fault = unexpectedEnd
		return true
	case w.b[w.i] != '{':
		w.fault = notObject
		return true
	}
	w.i++
	if i := space(w.b, w.i); i < len(w.b) && w.b[i] == '}' {
		w.i = i + 1
		return true
	}
	return false
}

// value scans the value of the member and returns it.
func (w *walker) value(depth int) []byte {
	at := w.i
	w.i, w.fault = scanValue(w.b, at, depth)
	return w.b[at:w.i]
}
