// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// sameKey reports whether two JSON strings, given without their quotes, stand
// for the same text.
func sameKey(a, b []byte) bool {
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return string(a) == string(b)
	}
	for len(a) > 0 && len(b) > 0 {
		ra, na := nextRune(a)
		rb, nb := nextRune(b)
		if ra != rb {
			return false
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) == 0 && len(b) == 0
}

// nextRune decodes the first character of a JSON string and returns the length
// of its text. Bytes that are not UTF-8 and lone surrogates become U+FFFD.
func nextRune(s []byte) (rune, int) {
	if s[0] != '\\' {
		return utf8.DecodeRune(s)
	}
	n := escapeLen(s)
	switch n {
	case 0:
		return utf8.RuneError, 1
	case 2:
		return simpleEscape(s[1]), 2
	}
	r := unicodeEscape(s)
	if !utf16.IsSurrogate(r) {
		return r, n
	}
	if low := s[n:]; escapeLen(low) == 6 {
		if pair := utf16.DecodeRune(r, unicodeEscape(low)); pair != utf8.RuneError {
			return pair, 2 * n
		}
	}
	return utf8.RuneError, n
}

func simpleEscape(c byte) rune {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return rune(c)
}

// unicodeEscape decodes the four digits of an escape known to have them.
func unicodeEscape(s []byte) rune {
	var r rune
	for _, c := range s[2:6] {
		r = r<<4 | hexDigit(c)
	}
	return r
}

// unescape returns the text of a JSON string given without its quotes.
func unescape(s []byte) string {
	if bytes.IndexByte(s, '\\') < 0 {
		return string(s)
	}
	out := make([]byte, 0, len(s))
	for len(s) > 0 {
		r, n := nextRune(s)
		out = utf8.AppendRune(out, r)
		s = s[n:]
	}
	return string(out)
}
