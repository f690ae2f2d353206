// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"math"
	"strconv"
	"strings"
)

func (p *parser) prefix() (expr, *fault) {
	t := p.token
	switch t.kind {
	case tokenEnd:
		return nil, faultf(t.at, "", "expected an expression, found the end")
	case tokenText:
		return &literal{t.at, textValue(t.text)}, p.advance()
	case tokenNumber:
		return p.number()
	case tokenName:
		return p.path()
	case tokenWord:
		return p.word()
	case tokenSign:
	}
	switch t.text {
	case "(":
		return p.parentheses()
	case "-", "+":
		return p.sign()
	case "*":
		return nil, faultf(t.at, "* stands alone in SELECT, or in to_base64(*), to_hex(*)", "unexpected *")
	}
	return nil, faultf(t.at, "", "expected an expression, found %s", t.describe())
}

func (p *parser) number() (expr, *fault) {
	t := p.token
	n, err := strconv.ParseFloat(t.text, 64)
	if err != nil || math.IsInf(n, 0) {
		return nil, faultf(t.at, "", "%s is no number a float64 holds", t.describe())
	}
	return &literal{t.at, numberValue(n)}, p.advance()
}

func (p *parser) parentheses() (expr, *fault) {
	at := p.token.at
	if f := p.advance(); f != nil {
		return nil, f
	}
	x, f := p.expression(0)
	if f != nil {
		return nil, f
	}
	if f := p.expect(")", "a parenthesis is not closed"); f != nil {
		return nil, f
	}
	return &parens{at, x}, nil
}

// sign takes the sign into a literal, so that -1 is a constant.
func (p *parser) sign() (expr, *fault) {
	at, minus := p.token.at, p.token.text == "-"
	if f := p.advance(); f != nil {
		return nil, f
	}
	x, f := p.expression(powerUnary)
	if f != nil || !minus {
		return x, f
	}
	if l, ok := x.(*literal); ok && l.v.kind == Number {
		return &literal{at, numberValue(-l.v.num)}, nil
	}
	return &unary{at, opMinus, x}, nil
}

func (p *parser) word() (expr, *fault) {
	t := p.token
	switch word := strings.ToUpper(t.text); word {
	case "TRUE", "FALSE":
		return &literal{t.at, boolValue(word == "TRUE")}, p.advance()
	case "NULL":
		return &literal{t.at, Value{}}, p.advance()
	case "NOT":
		if f := p.advance(); f != nil {
			return nil, f
		}
		x, f := p.expression(powerNot)
		return &unary{t.at, opNot, x}, f
	case "CASE":
		return p.choice()
	default:
		if words[word] {
			return nil, faultf(t.at, "a member of that name needs backquotes", "expected an expression, found %s", t.describe())
		}
	}
	return p.path()
}

// path reads a path, or a call when a parenthesis follows the first name.
func (p *parser) path() (expr, *fault) {
	first := p.token
	if f := p.advance(); f != nil {
		return nil, f
	}
	if p.token.is("(") && first.kind == tokenWord {
		return p.call(first)
	}
	x := &path{at: first.at, steps: []step{{first.text, -1}}}
	for {
		s, more, f := p.step()
		if f != nil || !more {
			return x, f
		}
		if x.steps = append(x.steps, s); len(x.steps) > maxDepth {
			return nil, faultf(x.at, "", "a path has more than %d steps", maxDepth)
		}
	}
}

// step reads .name or [index].
func (p *parser) step() (s step, more bool, f *fault) {
	s.index = -1
	if ok, f := p.take("."); f != nil {
		return s, false, f
	} else if ok {
		if p.token.kind != tokenWord && p.token.kind != tokenName {
			return s, false, faultf(p.token.at, "names that begin with a digit need backquotes", "expected a member's name, found %s", p.token.describe())
		}
		s.key = p.token.text
		return s, true, p.advance()
	}
	ok, f := p.take("[")
	if f != nil || !ok {
		return s, false, f
	}
	n, err := strconv.ParseUint(p.token.text, 10, 31)
	if p.token.kind != tokenNumber || err != nil {
		return s, false, faultf(p.token.at, "elements count from 0", "expected the number of an element, found %s", p.token.describe())
	}
	s.index = int(n)
	if f := p.advance(); f != nil {
		return s, false, f
	}
	return s, true, p.expect("]", "close it with ]")
}

func (p *parser) choice() (expr, *fault) {
	c := &choice{at: p.token.at}
	f := p.advance()
	if f == nil && !p.token.is("WHEN") {
		c.operand, f = p.expression(0)
	}
	for f == nil && p.token.is("WHEN") {
		var w when
		if w, f = p.when(); f == nil {
			c.whens = append(c.whens, w)
		}
	}
	if f != nil {
		return nil, f
	}
	if len(c.whens) == 0 || len(c.whens) > maxList {
		return nil, faultf(p.token.at, "write CASE WHEN condition THEN value ELSE value END", "expected WHEN, found %s", p.token.describe())
	}
	if ok, f := p.take("ELSE"); f != nil {
		return nil, f
	} else if ok {
		if c.other, f = p.expression(0); f != nil {
			return nil, f
		}
	}
	return c, p.expect("END", "CASE is closed with END")
}

func (p *parser) when() (w when, f *fault) {
	if f = p.advance(); f != nil {
		return w, f
	}
	if w.cond, f = p.expression(0); f != nil {
		return w, f
	}
	if f = p.expect("THEN", "write WHEN condition THEN value"); f != nil {
		return w, f
	}
	w.then, f = p.expression(0)
	return w, f
}
