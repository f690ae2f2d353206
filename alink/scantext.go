// SPDX-License-Identifier: Apache-2.0

package alink

// scanString checks the JSON string at b[i:], which begins with its quote.
func scanString(b []byte, i int) (int, fault) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, sound
		case c < ' ':
			return i, badString
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return i, badString
			}
			i += n - 1
		}
	}
	return i, unexpectedEnd
}

// escapeLen returns the length of the escape s begins with, 0 for a bad one.
func escapeLen(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) < 6 {
			return 0
		}
		for _, c := range s[2:6] {
			if hexDigit(c) < 0 {
				return 0
			}
		}
		return 6
	}
	return 0
}

func hexDigit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}

func scanNumber(b []byte, i int) (int, fault) {
	start := i
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return i, unexpectedEnd
	case b[i] == '0':
		i++
	case '1' <= b[i] && b[i] <= '9':
		i = digits(b, i)
	case i == start:
		return i, unexpectedByte
	default:
		return i, badNumber
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = digits(b, from); i == from {
			return i, badNumber
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		from := i + 1
		if from < len(b) && (b[from] == '+' || b[from] == '-') {
			from++
		}
		if i = digits(b, from); i == from {
			return i, badNumber
		}
	}
	return i, sound
}

func digits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}
