// SPDX-License-Identifier: Apache-2.0

package alink

import "fmt"

// MaxDepth is how deep the arrays and objects of a message may nest, the message
// itself included. It bounds the stack a hostile payload can take.
const MaxDepth = 128

// fault says what is wrong with JSON text. Scanning functions return it beside
// the index they stopped at, so that nothing is allocated on the way.
type fault uint8

const (
	sound fault = iota
	unexpectedEnd
	unexpectedByte
	badString
	badNumber
	tooDeep
	trailingBytes
	notObject
	notArray
	notText
	notCode
	duplicateKey
	tooManyMembers
)

var faultNames = [...]string{
	"sound", "unexpected end", "unexpected byte", "bad string", "bad number",
	"nested too deeply", "bytes after the value", "not an object", "not an array",
	"neither text nor number", "code is not an integer", "duplicate key", "too many members",
}

// malformed makes the error for a fault at byte i.
func malformed(f fault, i int) error {
	return fmt.Errorf("%w: %s at byte %d", ErrMalformed, faultNames[f], i)
}

// space returns the index of the first byte at or after i that is no white
// space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// scanValue checks the JSON value at b[i:] (RFC 8259) and returns the index
// behind it, or the index of a fault. It does not look into the UTF-8 of strings.
func scanValue(b []byte, i, depth int) (int, fault) {
	if i >= len(b) {
		return i, unexpectedEnd
	}
	switch b[i] {
	case '"':
		return scanString(b, i)
	case '{':
		return scanObject(b, i, depth)
	case '[':
		return scanArray(b, i, depth)
	case 't':
		return scanWord(b, i, "true")
	case 'f':
		return scanWord(b, i, "false")
	case 'n':
		return scanWord(b, i, "null")
	}
	return scanNumber(b, i)
}

func scanWord(b []byte, i int, word string) (int, fault) {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return i, unexpectedByte
	}
	return i + len(word), sound
}

func scanObject(b []byte, i, depth int) (int, fault) {
	if depth == 0 {
		return i, tooDeep
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, sound
	}
	for {
		var f fault
		if _, i, f = scanKey(b, i); f != sound {
			return i, f
		}
		if i, f = scanValue(b, i, depth-1); f != sound {
			return i, f
		}
		if i, f = next(b, i, '}'); f != sound || b[i-1] == '}' {
			return i, f
		}
		i = space(b, i)
	}
}

func scanArray(b []byte, i, depth int) (int, fault) {
	if depth == 0 {
		return i, tooDeep
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, sound
	}
	for {
		var f fault
		if i, f = scanValue(b, i, depth-1); f != sound {
			return i, f
		}
		if i, f = next(b, i, ']'); f != sound || b[i-1] == ']' {
			return i, f
		}
		i = space(b, i)
	}
}

// next takes the comma or the closing byte behind an element.
func next(b []byte, i int, closing byte) (int, fault) {
	i = space(b, i)
	if i >= len(b) {
		return i, unexpectedEnd
	}
	if b[i] != ',' && b[i] != closing {
		return i, unexpectedByte
	}
	return i + 1, sound
}

// scanKey takes a key and its colon. end is the index behind the key's closing
// quote, at the index of the value.
func scanKey(b []byte, i int) (end, at int, f fault) {
	if i >= len(b) {
		return i, i, unexpectedEnd
	}
	if b[i] != '"' {
		return i, i, unexpectedByte
	}
	end, f = scanString(b, i)
	if f != sound {
		return end, end, f
	}
	at = space(b, end)
	if at >= len(b) {
		return end, at, unexpectedEnd
	}
	if b[at] != ':' {
		return end, at, unexpectedByte
	}
	return end, space(b, at+1), sound
}
