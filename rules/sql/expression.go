// SPDX-License-Identifier: Apache-2.0

package sql

import "strings"

// binding powers, from loose to tight. NOT stands between AND and comparisons.
const (
	powerOr = iota + 1
	powerAnd
	powerNot
	powerCompare
	powerAdd
	powerMultiply
	powerUnary
)

// infix finds the operator at the token and its power.
func (p *parser) infix() (operator, int) {
	if p.token.kind != tokenWord && p.token.kind != tokenSign {
		return opNone, 0
	}
	switch strings.ToUpper(p.token.text) {
	case "OR":
		return opOr, powerOr
	case "AND":
		return opAnd, powerAnd
	case "=", "==":
		return opEqual, powerCompare
	case "<>", "!=":
		return opUnequal, powerCompare
	case "<":
		return opLess, powerCompare
	case "<=":
		return opLessEqual, powerCompare
	case ">":
		return opGreater, powerCompare
	case ">=":
		return opGreaterEqual, powerCompare
	case "LIKE":
		return opLike, powerCompare
	case "IN", "BETWEEN", "IS", "NOT":
		return opNone, powerCompare
	case "+":
		return opAdd, powerAdd
	case "-":
		return opSubtract, powerAdd
	case "*":
		return opMultiply, powerMultiply
	case "/":
		return opDivide, powerMultiply
	case "%":
		return opModulo, powerMultiply
	}
	return opNone, 0
}

// expression reads what binds tighter than power.
func (p *parser) expression(power int) (expr, *fault) {
	if p.depth++; p.depth > maxDepth {
		return nil, faultf(p.token.at, "", "expressions nest deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	x, f := p.prefix()
	for f == nil {
		op, next := p.infix()
		if next <= power {
			return x, nil
		}
		if next == powerCompare && compared(x) {
			return nil, faultf(p.token.at, "join two comparisons with AND", "comparisons do not follow each other")
		}
		if op == opNone {
			x, f = p.postfix(x)
			continue
		}
		at := p.token.at
		if f = p.advance(); f != nil {
			break
		}
		var y expr
		if y, f = p.expression(next); f == nil {
			x = &binary{at, op, x, y}
		}
	}
	return nil, f
}

// compared reports whether x is a comparison that is not in parentheses.
func compared(x expr) bool {
	switch x := x.(type) {
	case *binary:
		return x.op.comparison() || x.op == opLike || x.op == opNotLike
	case *in, *between, *isNull:
		return true
	}
	return false
}

// postfix reads IN, BETWEEN, IS NULL and their negations.
func (p *parser) postfix(x expr) (expr, *fault) {
	at := p.token.at
	if ok, f := p.take("IS"); ok || f != nil {
		return p.isNull(at, x, f)
	}
	not, f := p.take("NOT")
	if f != nil {
		return nil, f
	}
	switch {
	case p.token.is("IN"):
		return p.in(at, x, not)
	case p.token.is("BETWEEN"):
		return p.between(at, x, not)
	case p.token.is("LIKE"):
		if f := p.advance(); f != nil {
			return nil, f
		}
		y, f := p.expression(powerCompare)
		return &binary{at, opNotLike, x, y}, f
	}
	return nil, faultf(p.token.at, "NOT here stands before LIKE, IN or BETWEEN", "unexpected %s", p.token.describe())
}

func (p *parser) isNull(at int, x expr, f *fault) (expr, *fault) {
	if f != nil {
		return nil, f
	}
	not, f := p.take("NOT")
	if f == nil {
		f = p.expect("NULL", "IS is followed by NULL or NOT NULL")
	}
	return &isNull{at, x, not}, f
}

func (p *parser) in(at int, x expr, not bool) (expr, *fault) {
	if f := p.advance(); f != nil {
		return nil, f
	}
	if f := p.expect("(", "write IN (value, value)"); f != nil {
		return nil, f
	}
	list, f := p.list("a list")
	if f == nil && len(list) == 0 {
		f = faultf(at, "", "IN needs a value")
	}
	return &in{at, x, list, not}, f
}

func (p *parser) between(at int, x expr, not bool) (expr, *fault) {
	if f := p.advance(); f != nil {
		return nil, f
	}
	lo, f := p.expression(powerCompare)
	if f != nil {
		return nil, f
	}
	if f := p.expect("AND", "write BETWEEN low AND high"); f != nil {
		return nil, f
	}
	hi, f := p.expression(powerCompare)
	return &between{at, x, lo, hi, not}, f
}

// list reads expressions up to the closing parenthesis.
func (p *parser) list(what string) ([]expr, *fault) {
	var list []expr
	if ok, f := p.take(")"); ok || f != nil {
		return nil, f
	}
	for {
		var x expr
		var f *fault
		if p.token.is("*") {
			x, f = &star{p.token.at}, p.advance()
		} else {
			x, f = p.expression(0)
		}
		if f != nil {
			return nil, f
		}
		if list = append(list, x); len(list) > maxList {
			return nil, faultf(x.offset(), "", "%s has more than %d members", what, maxList)
		}
		if ok, f := p.take(","); f != nil {
			return nil, f
		} else if !ok {
			return list, p.expect(")", "close "+what+" with )")
		}
	}
}
