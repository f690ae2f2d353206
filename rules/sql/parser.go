// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strconv"
	"strings"
)

// Bounds of a statement. They are wider than what the vendors' consoles take.
const (
	MaxText  = 16 << 10 // bytes
	MaxItems = 128      // of the SELECT list
	maxDepth = 64       // of nested expressions
	maxList  = 1024     // of IN, arguments and WHEN branches
)

// words are those of the language: a path that begins with one needs backquotes.
var words = map[string]bool{
	"SELECT": true, "FROM": true, "WHERE": true, "AS": true, "AND": true, "OR": true, "NOT": true, "LIKE": true,
	"IN": true, "BETWEEN": true, "IS": true, "NULL": true, "TRUE": true, "FALSE": true, "CASE": true, "WHEN": true,
	"THEN": true, "ELSE": true, "END": true,
}

type parser struct {
	lexer
	token     token
	depth     int
	functions map[string]*Function
}

// parse reads a statement.
func parse(text string, functions map[string]*Function) (*query, *fault) {
	if len(text) > MaxText {
		return nil, faultf(MaxText, "", "a statement has at most %d bytes", MaxText)
	}
	p := &parser{lexer: lexer{text: text}, functions: functions}
	if f := p.advance(); f != nil {
		return nil, f
	}
	return p.query()
}

func (p *parser) advance() (f *fault) {
	p.token, f = p.next()
	return f
}

// take goes on if the token is s.
func (p *parser) take(s string) (bool, *fault) {
	if !p.token.is(s) {
		return false, nil
	}
	return true, p.advance()
}

// expect goes on behind s or fails.
func (p *parser) expect(s, hint string) *fault {
	ok, f := p.take(s)
	if f == nil && !ok {
		f = faultf(p.token.at, hint, "expected %s, found %s", s, p.token.describe())
	}
	return f
}

func (p *parser) query() (*query, *fault) {
	q := &query{}
	if f := p.expect("SELECT", "a statement is SELECT ... FROM \"topic\" WHERE ..."); f != nil {
		return nil, f
	}
	if f := p.items(q); f != nil {
		return nil, f
	}
	if f := p.expect("FROM", "items are separated by commas, and FROM follows the last"); f != nil {
		return nil, f
	}
	if p.token.kind != tokenText {
		return nil, faultf(p.token.at, "write the topic in quotes", "expected a topic filter, found %s", p.token.describe())
	}
	q.from, q.fromAt = p.token.text, p.token.at
	if f := p.advance(); f != nil {
		return nil, f
	}
	return q, p.tail(q)
}

// tail reads what stands behind FROM.
func (p *parser) tail(q *query) *fault {
	ok, f := p.take("WHERE")
	if f != nil {
		return f
	}
	if ok {
		if q.where, f = p.expression(0); f != nil {
			return f
		}
	}
	if _, f := p.take(";"); f != nil {
		return f
	}
	if p.token.kind != tokenEnd {
		return faultf(p.token.at, trailingHint(p.token), "unexpected %s behind the statement", p.token.describe())
	}
	return nil
}

func trailingHint(t token) string {
	for _, w := range []string{"JOIN", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION"} {
		if t.is(w) {
			return "a statement looks at one message: there is no " + w
		}
	}
	if t.is(",") {
		return "a statement has one topic filter"
	}
	if t.kind == tokenText || t.kind == tokenNumber || t.kind == tokenWord {
		return "an operator is missing before it, or AND, OR"
	}
	return ""
}

func (p *parser) items(q *query) *fault {
	for {
		it, f := p.item()
		if f != nil {
			return f
		}
		if q.items = append(q.items, it); len(q.items) > MaxItems {
			return faultf(it.at, "", "more than %d items", MaxItems)
		}
		if ok, f := p.take(","); f != nil || !ok {
			return f
		}
	}
}

func (p *parser) item() (item, *fault) {
	it := item{at: p.token.at}
	if p.token.is("FROM") {
		return it, faultf(it.at, "write * or what to pass on", "nothing is selected")
	}
	if p.token.is("*") {
		it.x = &star{it.at}
		return it, p.advance()
	}
	var f *fault
	if it.x, f = p.expression(0); f != nil {
		return it, f
	}
	as, f := p.take("AS")
	if f != nil {
		return it, f
	}
	if !as {
		return p.unnamed(it)
	}
	switch {
	case p.token.kind == tokenName || p.token.kind == tokenText,
		p.token.kind == tokenWord && !words[strings.ToUpper(p.token.text)]:
		it.name = p.token.text
	default:
		return it, faultf(p.token.at, "words of the language need backquotes", "expected a name, found %s", p.token.describe())
	}
	if it.name == "" {
		return it, faultf(p.token.at, "", "a name is empty")
	}
	return it, p.advance()
}

// unnamed gives an item the name it has without AS: the path as it is written, or
// the function.
func (p *parser) unnamed(it item) (item, *fault) {
	switch x := it.x.(type) {
	case *path:
		it.name = pathName(x.steps)
	case *call:
		it.name = x.fn.Name
	default:
		return it, faultf(p.token.at, "write AS and a name behind it", "an expression needs a name")
	}
	return it, nil
}

// pathName joins steps without backquotes, as in a[0].b.
func pathName(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		switch {
		case s.index >= 0:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}
