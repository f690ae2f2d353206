// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenName // in backquotes: never a word of the language
	tokenNumber
	tokenText
	tokenSign
)

// token is a piece of a statement. text is what it means: without quotes, doubled
// quotes made one.
type token struct {
	kind tokenKind
	at   int // byte offset
	end  int
	text string
}

// is reports whether t is the word or sign s; words in any case.
func (t token) is(s string) bool {
	return (t.kind == tokenWord || t.kind == tokenSign) && strings.EqualFold(t.text, s)
}

// describe names t in messages.
func (t token) describe() string {
	if t.kind == tokenEnd {
		return "the end"
	}
	if len(t.text) > 32 {
		return "\"" + t.text[:32] + "...\""
	}
	return "\"" + t.text + "\""
}

type lexer struct {
	text string
	at   int
}

// signs are those of two bytes, then those of one.
var signs = []string{"<>", "!=", ">=", "<=", "==", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", ".", "[", "]", ";"}

// next returns the next token.
func (l *lexer) next() (token, *fault) {
	l.skip()
	at := l.at
	if at == len(l.text) {
		return token{kind: tokenEnd, at: at, end: at}, nil
	}
	switch c := l.text[at]; {
	case c == '\'' || c == '"' || c == '`':
		return l.quoted(c)
	case isDigit(c) || c == '.' && at+1 < len(l.text) && isDigit(l.text[at+1]):
		return l.number()
	case isLetter(c):
		return l.word(), nil
	}
	for _, s := range signs {
		if strings.HasPrefix(l.text[at:], s) {
			l.at += len(s)
			return token{tokenSign, at, l.at, s}, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(l.text[at:])
	hint := ""
	if r == '‘' || r == '’' || r == '“' || r == '”' {
		hint = "use straight quotes"
	}
	return token{}, faultf(at, hint, "unexpected character %q", r)
}

func (l *lexer) skip() {
	for l.at < len(l.text) {
		switch l.text[l.at] {
		case ' ', '\t', '\n', '\r':
			l.at++
		default:
			return
		}
	}
}

// quoted reads text or a name. The quote stands for itself when doubled, and in
// text behind a backslash, which is how the vendors' examples write it.
func (l *lexer) quoted(quote byte) (token, *fault) {
	t := token{kind: tokenText, at: l.at}
	if quote == '`' {
		t.kind = tokenName
	}
	for i := l.at + 1; i < len(l.text); i++ {
		if l.text[i] != quote {
			if l.escaped(i, quote) {
				i++
			}
			continue
		}
		if i+1 < len(l.text) && l.text[i+1] == quote {
			i++
			continue
		}
		t.text, t.end = l.text[l.at+1:i], i+1
		if strings.IndexByte(t.text, quote) >= 0 {
			q := string(quote)
			if quote != '`' {
				t.text = strings.ReplaceAll(t.text, `\`+q, q+q)
			}
			t.text = strings.ReplaceAll(t.text, q+q, q)
		}
		l.at = t.end
		return t, nil
	}
	return t, faultf(l.at, "close it with "+string(quote), "a quote is not closed")
}

// escaped reports whether a backslash at i keeps the quote behind it.
func (l *lexer) escaped(i int, quote byte) bool {
	return l.text[i] == '\\' && quote != '`' && i+1 < len(l.text) && l.text[i+1] == quote
}

func (l *lexer) number() (token, *fault) {
	at := l.at
	l.digits()
	if l.peek() == '.' {
		l.at++
		l.digits()
	}
	if c := l.peek(); c == 'e' || c == 'E' {
		l.at++
		if c := l.peek(); c == '+' || c == '-' {
			l.at++
		}
		if !isDigit(l.peek()) {
			return token{}, faultf(l.at, "", "an exponent needs digits")
		}
		l.digits()
	}
	if isLetter(l.peek()) {
		return token{}, faultf(l.at, "put names that begin with a digit in backquotes", "a number ends in a letter")
	}
	return token{tokenNumber, at, l.at, l.text[at:l.at]}, nil
}

func (l *lexer) digits() {
	for isDigit(l.peek()) {
		l.at++
	}
}

func (l *lexer) peek() byte {
	if l.at < len(l.text) {
		return l.text[l.at]
	}
	return 0
}

// word reads a name. A colon may stand inside, for members of modules
// ("block:identifier").
func (l *lexer) word() token {
	at := l.at
	for l.at < len(l.text) && (isLetter(l.text[l.at]) || isDigit(l.text[l.at]) || l.text[l.at] == ':') {
		l.at++
	}
	return token{tokenWord, at, l.at, l.text[at:l.at]}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isLetter takes every byte of non-ASCII characters for a letter, but for the
// curly quotes that word processors make.
func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$' || c >= 0x80 && c != 0xe2
}
