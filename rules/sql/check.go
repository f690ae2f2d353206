// SPDX-License-Identifier: Apache-2.0

package sql

import "strings"

// Kinds is a set of kinds: what an expression may give, or an argument may be.
type Kinds uint8

// Some sets. NULL belongs to each.
const (
	Bools   Kinds = 1 << Bool
	Numbers Kinds = 1<<Number | 1<<Bool // booleans count as 1 and 0
	Texts   Kinds = 1 << Text
	JSONs   Kinds = 1 << JSON
	Any     Kinds = Numbers | Texts | JSONs
)

// String names the set.
func (k Kinds) String() string {
	if k == Any {
		return "any value"
	}
	var names []string
	for _, one := range []Kind{Number, Bool, Text, JSON} {
		if k&(1<<one) != 0 && (one != Bool || k&(1<<Number) == 0) {
			names = append(names, one.String())
		}
	}
	if len(names) == 0 {
		return "NULL"
	}
	return strings.Join(names, " or ")
}

// kinds finds what e may give, and the first place where kinds do not fit.
func kinds(e expr) (Kinds, *fault) {
	switch e := e.(type) {
	case *literal:
		if e.v.kind == Null {
			return 0, nil
		}
		return 1 << e.v.kind, nil
	case *path:
		return Any, nil
	case *parens:
		return kinds(e.x)
	case *star:
		return 0, faultf(e.at, "* stands alone in SELECT, or in to_base64(*), to_hex(*)", "unexpected *")
	case *call:
		return callKinds(e)
	case *choice:
		return choiceKinds(e)
	case *unary:
		if e.op == opMinus {
			return arithmeticKinds(e.at, e.op, e.x)
		}
		return Bools, condition(e.x)
	case *binary:
		return binaryKinds(e)
	case *in:
		return Bools, matchable(e.at, e.x, e.list...)
	case *between:
		return Bools, matchable(e.at, e.x, e.lo, e.hi)
	case *isNull:
		_, f := kinds(e.x)
		return Bools, f
	}
	return Any, nil
}

func binaryKinds(e *binary) (Kinds, *fault) {
	switch {
	case e.op == opAnd || e.op == opOr:
		if f := condition(e.x); f != nil {
			return 0, f
		}
		return Bools, condition(e.y)
	case e.op.comparison():
		return Bools, matchable(e.at, e.x, e.y)
	case e.op == opLike || e.op == opNotLike:
		for _, x := range []expr{e.x, e.y} {
			if k, f := kinds(x); f != nil {
				return 0, f
			} else if k&Texts == 0 {
				return 0, faultf(x.offset(), "LIKE compares text with a pattern such as 'a%'", "%s is no text", k)
			}
		}
		return Bools, nil
	}
	return arithmeticKinds(e.at, e.op, e.x, e.y)
}

// condition checks what stands where true and false are asked for.
func condition(e expr) *fault {
	k, f := kinds(e)
	if f == nil && k&Numbers == 0 {
		f = faultf(e.offset(), "compare it with something", "%s is no condition", k)
	}
	return f
}

// matchable checks that x can be compared with each of others.
func matchable(at int, x expr, others ...expr) *fault {
	k, f := kinds(x)
	if f != nil {
		return f
	}
	for _, y := range others {
		o, f := kinds(y)
		switch {
		case f != nil:
			return f
		case k == 0 || o == 0:
			return faultf(at, "write IS NULL or IS NOT NULL", "a comparison with NULL is never true")
		case k&o&(Numbers|Texts) == 0 && k|o != Numbers:
			return faultf(at, "", "%s cannot be compared with %s", k, o)
		}
	}
	return nil
}

func arithmeticKinds(at int, op operator, operands ...expr) (Kinds, *fault) {
	for _, x := range operands {
		k, f := kinds(x)
		if f != nil {
			return 0, f
		}
		if k&Numbers == 0 {
			hint := ""
			if op == opAdd && k&Texts != 0 {
				hint = "text is joined by concat(a, b)"
			}
			return 0, faultf(at, hint, "%s does not calculate with %s", op, k)
		}
	}
	return 1 << Number, nil
}

func callKinds(e *call) (Kinds, *fault) {
	if e.fn.flat {
		return 0, faultf(e.at, "", "%s stands alone in SELECT", e.fn.Name)
	}
	for i, x := range e.args {
		if _, ok := x.(*star); ok && e.fn.star && len(e.args) == 1 {
			continue
		}
		k, f := kinds(x)
		if f != nil {
			return 0, f
		}
		if want := e.fn.arg(i); k != 0 && k&want == 0 {
			return 0, faultf(x.offset(), "write "+e.fn.Usage, "%s takes %s here, not %s", e.fn.Name, want, k)
		}
		if l, ok := x.(*literal); ok && e.fn.check != nil {
			if message := e.fn.check(i, l.v); message != "" {
				return 0, faultf(l.at, "write "+e.fn.Usage, "%s: %s", e.fn.Name, message)
			}
		}
	}
	return e.fn.Result, nil
}

func choiceKinds(e *choice) (out Kinds, f *fault) {
	for _, w := range e.whens {
		if e.operand != nil {
			f = matchable(w.cond.offset(), e.operand, w.cond)
		} else {
			f = condition(w.cond)
		}
		if f != nil {
			return 0, f
		}
		k, f := kinds(w.then)
		if f != nil {
			return 0, f
		}
		out |= k
	}
	if e.other != nil {
		k, f := kinds(e.other)
		return out | k, f
	}
	return out, nil
}
