// SPDX-License-Identifier: Apache-2.0

package sql

import "slices"

// outcomes is the set of what a condition may give when the payload has none of
// its paths.
type outcomes uint8

const (
	mayNo outcomes = 1 << iota
	mayYes
	mayUnknown
	mayAll = mayNo | mayYes | mayUnknown
)

// rejectsNulls reports that e is not true when every path is NULL. Such a condition
// may be judged before anybody knows whether the payload is JSON.
func rejectsNulls(e expr) bool { return nullOutcomes(e)&mayYes == 0 }

func nullOutcomes(e expr) outcomes {
	switch e := e.(type) {
	case *path:
		return mayUnknown
	case *parens:
		return nullOutcomes(e.x)
	case *unary:
		if e.op == opNot {
			o := nullOutcomes(e.x)
			return o&mayUnknown | o&mayYes>>1 | o&mayNo<<1
		}
	case *isNull:
		switch {
		case !alwaysNull(e.x):
		case e.not:
			return mayNo
		default:
			return mayYes
		}
	case *in:
		if alwaysNull(e.x) {
			return mayUnknown
		}
	case *between:
		if alwaysNull(e.x) {
			return mayUnknown
		}
	case *binary:
		return nullBinary(e)
	}
	return mayAll
}

func nullBinary(e *binary) outcomes {
	switch e.op {
	case opAnd, opOr:
		return combine(e.op, nullOutcomes(e.x), nullOutcomes(e.y))
	default:
		if alwaysNull(e.x) || alwaysNull(e.y) {
			return mayUnknown
		}
	}
	return mayAll
}

// combine walks the truth table for the members of two sets.
func combine(op operator, a, b outcomes) (out outcomes) {
	for x := no; x <= unknown; x++ {
		for y := no; y <= unknown; y++ {
			if a&(1<<x) == 0 || b&(1<<y) == 0 {
				continue
			}
			join := and
			if op == opOr {
				join = or
			}
			out |= 1 << join(func(*frame) truth { return x }, func(*frame) truth { return y })(nil)
		}
	}
	return out
}

// alwaysNull reports that e is NULL when every path is.
func alwaysNull(e expr) bool {
	switch e := e.(type) {
	case *path:
		return true
	case *literal:
		return e.v.kind == Null
	case *parens:
		return alwaysNull(e.x)
	case *unary:
		return alwaysNull(e.x)
	case *binary:
		return e.op != opAnd && e.op != opOr && (alwaysNull(e.x) || alwaysNull(e.y))
	case *call:
		return !e.fn.Nulls && slices.ContainsFunc(e.args, alwaysNull)
	}
	return false
}
