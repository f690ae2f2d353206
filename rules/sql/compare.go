// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"cmp"
	"math"
)

// compare is the truth of a op b. NULL, JSON and unlike kinds compare to nothing.
func compare(op operator, a, b Value) truth {
	if a.kind == Text && b.kind == Text {
		if op == opEqual || op == opUnequal {
			return truthOf(a.text == b.text == (op == opEqual))
		}
		return truthOf(holds(op, cmp.Compare(a.text, b.text)))
	}
	x, ok := a.Number()
	if !ok {
		return unknown
	}
	y, ok := b.Number()
	if !ok {
		return unknown
	}
	return truthOf(holds(op, order(x, y)))
}

// order is cmp.Compare for numbers that are never NaN.
func order(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func holds(op operator, order int) bool {
	switch op {
	case opEqual:
		return order == 0
	case opUnequal:
		return order != 0
	case opLess:
		return order < 0
	case opLessEqual:
		return order <= 0
	case opGreater:
		return order > 0
	default:
		return order >= 0
	}
}

// calculate gives NaN or an infinity for what has no result.
func calculate(op operator, a, b float64) float64 {
	switch op {
	case opAdd:
		return a + b
	case opSubtract:
		return a - b
	case opMultiply:
		return a * b
	case opDivide:
		return a / b
	default:
		return math.Mod(a, b)
	}
}
