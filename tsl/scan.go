// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"encoding/json"
	"unsafe"
)

// The functions here walk JSON that was found valid before: they check bounds,
// not syntax. On bytes that are no JSON they give up with ok false.

// maxDepth is how deep values are looked into; deeper ones are no values of a
// model.
const maxDepth = 128

// space returns the index of the first byte at or after i that is no white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the index behind the string at b[i:], and whether it has
// escapes.
func stringEnd(b []byte, i int) (end int, escaped, ok bool) {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1, escaped, true
		case '\\':
			escaped = true
			i++
		}
	}
	return len(b), escaped, false
}

// scalarEnd returns the index behind a number or word.
func scalarEnd(b []byte, i int) int {
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

// skip returns the index behind the value at b[i:].
func skip(b []byte, i int) (end int, ok bool) {
	if i >= len(b) {
		return i, false
	}
	switch b[i] {
	case '"':
		end, _, ok = stringEnd(b, i)
		return end, ok
	case '{', '[':
		return skipNested(b, i)
	}
	end = scalarEnd(b, i)
	return end, end > i
}

// skipNested counts brackets outside of strings.
func skipNested(b []byte, i int) (end int, ok bool) {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i, _, ok = stringEnd(b, i); !ok {
				return i, false
			}
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return i, false
			}
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
		i++
	}
	return i, false
}

// object walks the members of the object at b[i:]:
//
//	for o.next() {
//		... o.key() ... o.i is where the value begins; set it behind ...
//	}
//
// Afterwards i is behind the object, or broken is set.
type object struct {
	b       []byte
	i       int
	name    []byte // of the member, without quotes, escapes in it
	escaped bool
	begun   bool
	broken  bool
}

func (o *object) next() bool {
	i := space(o.b, o.i)
	if !o.begun {
		o.begun = true
		i = space(o.b, i+1) // the brace was seen
	} else if i < len(o.b) && o.b[i] == ',' {
		i = space(o.b, i+1)
	} else if i >= len(o.b) || o.b[i] != '}' {
		return o.fail(i)
	}
	if i < len(o.b) && o.b[i] == '}' {
		o.i = i + 1
		return false
	}
	if i >= len(o.b) || o.b[i] != '"' {
		return o.fail(i)
	}
	end, escaped, ok := stringEnd(o.b, i)
	if !ok {
		return o.fail(end)
	}
	o.name, o.escaped = o.b[i+1:end-1], escaped
	if i = space(o.b, end); i >= len(o.b) || o.b[i] != ':' {
		return o.fail(i)
	}
	if o.i = space(o.b, i+1); o.i >= len(o.b) {
		return o.fail(o.i)
	}
	return true
}

func (o *object) fail(i int) bool {
	o.i, o.broken = min(i, len(o.b)), true
	return false
}

// key is the name as text.
func (o *object) key() string {
	if o.escaped {
		return unquote(o.name)
	}
	return text(o.name)
}

// text views b as a string without copying.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// unquote takes the escapes out of name; what is no JSON string stays as it is.
func unquote(name []byte) string {
	var s string
	if json.Unmarshal(append(append([]byte{'"'}, name...), '"'), &s) != nil {
		return string(name)
	}
	return s
}

// textLen is how many bytes of UTF-8 the inside of a JSON string stands for.
func textLen(raw []byte) int {
	n := 0
	for i := 0; i < len(raw); i++ {
		n++
		if raw[i] != '\\' {
			continue
		}
		if i++; i >= len(raw) || raw[i] != 'u' {
			continue
		}
		switch unit := hex4(raw, i+1); {
		case unit < 0x80:
		case unit < 0x800:
			n++
		case unit >= 0xd800 && unit < 0xdc00 && i+10 < len(raw) && raw[i+5] == '\\' && raw[i+6] == 'u' && hex4(raw, i+7)&0xfc00 == 0xdc00:
			n += 3
			i += 6
		default:
			n += 2
		}
		i += 4
	}
	return n
}

// hex4 reads the four hexadecimal digits at b[i:]; what is none counts as zero.
func hex4(b []byte, i int) int {
	n := 0
	for _, c := range b[min(i, len(b)):min(i+4, len(b))] {
		n <<= 4
		switch {
		case c >= '0' && c <= '9':
			n |= int(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n |= int(c|0x20-'a') + 10
		}
	}
	return n
}
