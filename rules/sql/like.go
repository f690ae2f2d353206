// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strings"
	"unicode/utf8"
)

// like compiles LIKE. A constant pattern of the forms a, a%, %a and %a% is a search
// without backtracking.
func (c compiler) like(e *binary) cond {
	x, not := c.eval(e.x), e.op == opNotLike
	match := likePattern
	y := c.eval(e.y)
	if l, ok := e.y.(*literal); ok {
		if quick := quickPattern(l.v.text); quick != nil {
			match = func(_, s string) bool { return quick(s) }
		}
	}
	return func(f *frame) truth {
		a, b := x(f), y(f)
		if a.kind != Text || b.kind != Text {
			return unknown
		}
		return truthOf(match(b.text, a.text) != not)
	}
}

func quickPattern(pattern string) func(string) bool {
	if strings.ContainsAny(pattern, `_\`) {
		return nil
	}
	body := strings.Trim(pattern, "%")
	if strings.Contains(body, "%") {
		return nil
	}
	head, tail := strings.HasPrefix(pattern, "%"), strings.HasSuffix(pattern, "%")
	switch {
	case body == "" && pattern != "":
		return func(string) bool { return true }
	case head && tail:
		return func(s string) bool { return strings.Contains(s, body) }
	case head:
		return func(s string) bool { return strings.HasSuffix(s, body) }
	case tail:
		return func(s string) bool { return strings.HasPrefix(s, body) }
	}
	return func(s string) bool { return s == body }
}

// likePattern matches s: % is any text, _ one character, \ takes the next one as
// it is. It goes back to the last % only, so it is at most quadratic.
func likePattern(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '%' {
			star, mark = p, i
			p++
			continue
		}
		if np, ni, ok := likeOne(pattern, p, s, i); ok {
			p, i = np, ni
			continue
		}
		if star < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[mark:])
		mark += n
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}

// likeOne matches one character.
func likeOne(pattern string, p int, s string, i int) (np, ni int, ok bool) {
	if p >= len(pattern) {
		return 0, 0, false
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	switch c := pattern[p]; {
	case c == '_':
		return p + 1, i + n, true
	case c == '\\' && p+1 < len(pattern):
		p++
	}
	_, m := utf8.DecodeRuneInString(pattern[p:])
	if pattern[p:p+m] != s[i:i+n] {
		return 0, 0, false
	}
	return p + m, i + n, true
}
