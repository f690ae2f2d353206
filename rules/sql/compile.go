// SPDX-License-Identifier: Apache-2.0

package sql

// truth is what a condition gives.
type truth uint8

const (
	no truth = iota
	yes
	unknown
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth {
	switch t {
	case no:
		return yes
	case yes:
		return no
	case unknown:
	}
	return unknown
}

func (t truth) value() Value {
	if t == unknown {
		return Value{}
	}
	return boolValue(t == yes)
}

// truthFrom is a value where a condition is asked for.
func truthFrom(v Value) truth {
	b, ok := v.Bool()
	if !ok {
		return unknown
	}
	return truthOf(b)
}

type (
	eval func(*frame) Value
	cond func(*frame) truth
)

// compiler turns expressions into closures over one tree of paths.
type compiler struct{ tree *tree }

func (c compiler) eval(e expr) eval {
	switch e := e.(type) {
	case *literal:
		v := e.v
		return func(*frame) Value { return v }
	case *path:
		at := c.tree.add(e.steps)
		return func(f *frame) Value { return rawValue(f.raw[at]) }
	case *parens:
		return c.eval(e.x)
	case *star:
		return func(f *frame) Value { return textValue(view(f.m.Payload)) }
	case *call:
		return c.call(e)
	case *choice:
		return c.choice(e)
	case *unary:
		if e.op == opMinus {
			x := c.eval(e.x)
			return func(f *frame) Value {
				n, ok := x(f).Number()
				if !ok {
					return Value{}
				}
				return numberValue(-n)
			}
		}
	case *binary:
		if e.op.arithmetic() {
			return c.arithmetic(e)
		}
	}
	x := c.cond(e)
	return func(f *frame) Value { return x(f).value() }
}

func (c compiler) arithmetic(e *binary) eval {
	x, y, op := c.eval(e.x), c.eval(e.y), e.op
	return func(f *frame) Value {
		a, ok := x(f).Number()
		if !ok {
			return Value{}
		}
		b, ok := y(f).Number()
		if !ok {
			return Value{}
		}
		return numberValue(calculate(op, a, b))
	}
}

func (c compiler) call(e *call) eval {
	args := make([]eval, len(e.args))
	for i, x := range e.args {
		args[i] = c.eval(x)
	}
	fn := e.fn
	return func(f *frame) Value {
		// Nested calls push behind these and take theirs away before they return.
		base := len(f.args)
		defer func() { f.args = f.args[:base] }()
		for _, x := range args {
			v := x(f)
			if v.kind == Null && !fn.Nulls {
				return Value{}
			}
			f.args = append(f.args, v)
		}
		return fn.Call(f.m, f.args[base:])
	}
}

func (c compiler) choice(e *choice) eval {
	type branch struct {
		cond cond
		then eval
	}
	branches := make([]branch, len(e.whens))
	for i, w := range e.whens {
		test := w.cond
		if e.operand != nil {
			test = &binary{w.cond.offset(), opEqual, e.operand, w.cond}
		}
		branches[i] = branch{c.cond(test), c.eval(w.then)}
	}
	other := func(*frame) Value { return Value{} }
	if e.other != nil {
		other = c.eval(e.other)
	}
	return func(f *frame) Value {
		for i := range branches {
			if branches[i].cond(f) == yes {
				return branches[i].then(f)
			}
		}
		return other(f)
	}
}

func (c compiler) cond(e expr) cond {
	switch e := e.(type) {
	case *parens:
		return c.cond(e.x)
	case *unary:
		if e.op == opNot {
			x := c.cond(e.x)
			return func(f *frame) truth { return x(f).not() }
		}
	case *binary:
		switch {
		case e.op == opAnd:
			return and(c.cond(e.x), c.cond(e.y))
		case e.op == opOr:
			return or(c.cond(e.x), c.cond(e.y))
		case e.op.comparison():
			return c.comparison(e)
		case e.op == opLike || e.op == opNotLike:
			return c.like(e)
		}
	case *in:
		return c.in(e)
	case *between:
		return c.between(e)
	case *isNull:
		x, not := c.eval(e.x), e.not
		return func(f *frame) truth { return truthOf(x(f).kind == Null != not) }
	}
	x := c.eval(e)
	return func(f *frame) truth { return truthFrom(x(f)) }
}

func and(x, y cond) cond {
	return func(f *frame) truth {
		a := x(f)
		if a == no {
			return no
		}
		b := y(f)
		if b == no || a == yes {
			return b
		}
		return unknown
	}
}

func or(x, y cond) cond {
	return func(f *frame) truth {
		a := x(f)
		if a == yes {
			return yes
		}
		b := y(f)
		if b == yes || a == no {
			return b
		}
		return unknown
	}
}

// comparison has a way of its own for what most conditions are: a path and a
// number.
func (c compiler) comparison(e *binary) cond {
	if at, n, op, ok := c.threshold(e); ok {
		return func(f *frame) truth {
			v, ok := f.number(at)
			if !ok {
				return unknown
			}
			return truthOf(holds(op, order(v, n)))
		}
	}
	x, y, op := c.eval(e.x), c.eval(e.y), e.op
	return func(f *frame) truth { return compare(op, x(f), y(f)) }
}

// threshold recognises a path beside a number, in either order.
func (c compiler) threshold(e *binary) (at int32, n float64, op operator, ok bool) {
	p, l, op := sides(e)
	if p == nil || l.v.kind != Number {
		return 0, 0, op, false
	}
	return c.tree.add(p.steps), l.v.num, op, true
}

// sides returns the path and the constant of a comparison of the two, with the
// operator turned so that the path stands on the left.
func sides(e *binary) (*path, *literal, operator) {
	if p, ok := e.x.(*path); ok {
		if l, ok := e.y.(*literal); ok {
			return p, l, e.op
		}
	}
	if p, ok := e.y.(*path); ok {
		if l, ok := e.x.(*literal); ok {
			return p, l, mirrored(e.op)
		}
	}
	return nil, nil, e.op
}

func mirrored(op operator) operator {
	switch op {
	case opLess:
		return opGreater
	case opLessEqual:
		return opGreaterEqual
	case opGreater:
		return opLess
	case opGreaterEqual:
		return opLessEqual
	default:
		return op
	}
}

// number reads a number, or a boolean as one, that was found at a node.
func (f *frame) number(at int32) (float64, bool) {
	raw := f.raw[at]
	if len(raw) == 0 {
		return 0, false
	}
	switch c := raw[0]; {
	case c == 't':
		return 1, true
	case c == 'f':
		return 0, true
	case c != '-' && !isDigit(c):
		return 0, false
	}
	return parseNumber(raw)
}

func (c compiler) in(e *in) cond {
	x, not := c.eval(e.x), e.not
	list := make([]eval, len(e.list))
	for i, y := range e.list {
		list[i] = c.eval(y)
	}
	return func(f *frame) truth {
		v, found := x(f), no
		for _, y := range list {
			t := compare(opEqual, v, y(f))
			if t == yes {
				found = yes
				break
			}
			if t == unknown {
				found = unknown
			}
		}
		if not {
			return found.not()
		}
		return found
	}
}

func (c compiler) between(e *between) cond {
	x, lo, hi, not := c.eval(e.x), c.eval(e.lo), c.eval(e.hi), e.not
	return func(f *frame) truth {
		v := x(f)
		a, b := compare(opGreaterEqual, v, lo(f)), compare(opLessEqual, v, hi(f))
		t := unknown
		switch {
		case a == no || b == no:
			t = no
		case a == yes && b == yes:
			t = yes
		}
		if not {
			return t.not()
		}
		return t
	}
}
