// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/openalink/iot/alink"
	"github.com/tidwall/gjson"
)

// Kind is the kind of a Value.
type Kind uint8

// The kinds. JSON is an object or an array.
const (
	Null Kind = iota
	Bool
	Number
	Text
	JSON
)

var kindNames = [...]string{"NULL", "boolean", "number", "text", "JSON"}

// String names k.
func (k Kind) String() string { return kindNames[k] }

// Value is what an expression gives. The zero Value is NULL. Its text may be part
// of the payload it was read from: it is valid as long as that is.
type Value struct {
	kind Kind
	num  float64 // of Number and Bool
	text string  // of Text; raw of JSON and of a Number from the payload
}

func boolValue(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// numberValue is NULL for what JSON cannot write.
func numberValue(n float64) Value {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return Value{}
	}
	return Value{kind: Number, num: n}
}

func textValue(s string) Value { return Value{kind: Text, text: s} }

// BoolOf, NumberOf and TextOf make values, for functions of one's own. NumberOf
// gives NULL for NaN and the infinities.
func BoolOf(b bool) Value { return boolValue(b) }

// NumberOf makes a number.
func NumberOf(n float64) Value { return numberValue(n) }

// TextOf makes text.
func TextOf(s string) Value { return textValue(s) }

// RawOf makes a value of JSON text; NULL when it is none. raw is not copied.
func RawOf(raw []byte) Value {
	if !alink.Valid(raw) {
		return Value{}
	}
	return rawValue(trimSpace(raw))
}

// Kind tells what v is.
func (v Value) Kind() Kind { return v.kind }

// Number returns the number, or 1 and 0 for booleans. ok is false for other kinds.
func (v Value) Number() (n float64, ok bool) {
	return v.num, v.kind == Number || v.kind == Bool
}

// Text returns the text of text, the digits of numbers, "true" and "false", the
// bytes of JSON, and "" for NULL.
func (v Value) Text() string {
	switch v.kind {
	case Number:
		if v.text == "" {
			return string(appendNumber(nil, v.num))
		}
	case Bool:
		return strconv.FormatBool(v.num != 0)
	case Null, Text, JSON:
	}
	return v.text
}

// Bool returns the truth of v: of booleans, and of numbers, which are true unless
// zero. ok is false for other kinds.
func (v Value) Bool() (b, ok bool) {
	return v.num != 0, v.kind == Bool || v.kind == Number
}

// AppendJSON appends v as JSON.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(dst, v.num != 0)
	case Number:
		if v.text == "" {
			return appendNumber(dst, v.num)
		}
		return append(dst, v.text...)
	case Text:
		return appendQuoted(dst, v.text)
	case JSON:
		return append(dst, v.text...)
	case Null:
	}
	return append(dst, "null"...)
}

// MarshalJSON makes values fields of JSON documents.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// appendNumber writes numbers as JavaScript does: integers without exponent up to
// 1e21.
func appendNumber(dst []byte, n float64) []byte {
	if abs := math.Abs(n); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, n, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, n, 'f', -1, 64)
}

// appendQuoted writes a JSON string; bytes that are no UTF-8 become U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// rawValue reads a JSON value that the scanner found, without copying it.
func rawValue(raw []byte) Value {
	if len(raw) == 0 {
		return Value{}
	}
	switch raw[0] {
	case '"':
		return Value{kind: Text, text: unquote(raw)}
	case '{', '[':
		return Value{kind: JSON, text: view(raw)}
	case 't', 'f':
		return boolValue(raw[0] == 't')
	case 'n':
		return Value{}
	}
	n, ok := parseNumber(raw)
	if !ok {
		return Value{}
	}
	return Value{kind: Number, num: n, text: view(raw)}
}

// powers are the powers of ten that a float64 holds exactly and a short number
// needs.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// parseNumber reads a JSON number. Up to 15 digits without an exponent are exact
// in one division, which is what devices send.
func parseNumber(raw []byte) (float64, bool) {
	digits, after, point := uint64(0), 0, false
	b := raw
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 16 || !isDigit(b[0]) {
		return parseSlowly(raw)
	}
	for _, c := range b {
		switch {
		case isDigit(c):
			digits = digits*10 + uint64(c-'0')
			if point {
				after++
			}
		case c == '.' && !point:
			point = true
		default:
			return parseSlowly(raw)
		}
	}
	if len(b) == 16 && !point || after == 0 && point {
		return parseSlowly(raw)
	}
	n := float64(digits) / powers[after]
	if raw[0] == '-' {
		n = -n
	}
	return n, true
}

func parseSlowly(raw []byte) (float64, bool) {
	n, err := strconv.ParseFloat(view(raw), 64)
	return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

// unquote returns the text of a JSON string. Only one with escapes is copied.
func unquote(raw []byte) string {
	for _, c := range raw {
		if c == '\\' {
			return gjson.ParseBytes(raw).String()
		}
	}
	if len(raw) < 2 {
		return ""
	}
	return view(raw[1 : len(raw)-1])
}

// view is b as a string that is not a copy. It is valid as long as b is.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
