// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"math"
	"math/rand/v2"
)

// number makes a function of one number.
func number(name, summary string, f func(float64) float64) Function {
	return Function{
		Name: name, Usage: name + "(number)", Summary: summary, MinArgs: 1, MaxArgs: 1,
		Args: []Kinds{Numbers}, Result: 1 << Number,
		Call: func(_ *Message, args []Value) Value {
			n, ok := args[0].Number()
			if !ok {
				return Value{}
			}
			return numberValue(f(n))
		},
	}
}

// numbers makes a function of two numbers.
func numbers(name, usage, summary string, f func(a, b float64) float64) Function {
	return Function{
		Name: name, Usage: usage, Summary: summary, MinArgs: 2, MaxArgs: 2, Args: []Kinds{Numbers}, Result: 1 << Number,
		Call: func(_ *Message, args []Value) Value {
			a, ok := args[0].Number()
			b, okB := args[1].Number()
			if !ok || !okB {
				return Value{}
			}
			return numberValue(f(a, b))
		},
	}
}

func mathFunctions() []Function {
	return []Function{
		number("abs", "The number without its sign.", math.Abs),
		number("ceil", "The next integer above.", math.Ceil),
		number("floor", "The next integer below.", math.Floor),
		round(),
		number("exp", "e to the power of the number.", math.Exp),
		number("sin", "The sine of radians.", math.Sin),
		number("cos", "The cosine of radians.", math.Cos),
		number("tan", "The tangent of radians.", math.Tan),
		number("asin", "The arc sine, in radians.", math.Asin),
		number("acos", "The arc cosine, in radians.", math.Acos),
		number("atan", "The arc tangent, in radians.", math.Atan),
		number("sinh", "The hyperbolic sine.", math.Sinh),
		number("cosh", "The hyperbolic cosine.", math.Cosh),
		number("tanh", "The hyperbolic tangent.", math.Tanh),
		number("sqrt", "The square root.", math.Sqrt),
		numbers("power", "power(base, exponent)", "The base to the power of the exponent.", math.Pow),
		numbers("mod", "mod(a, b)", "What remains of a divided by b, with the sign of a.", math.Mod),
		logarithm(),
		{
			Name: "rand", Usage: "rand()", Summary: "A number from 0 to below 1.", Result: 1 << Number,
			Call: func(*Message, []Value) Value { return numberValue(rand.Float64()) },
		},
		randint(),
		{
			Name: "nanvl", Usage: "nanvl(value, instead)", Summary: "The value, or what stands behind it when it is NULL or no number could be calculated.",
			MinArgs: 2, MaxArgs: 2, Result: Any, Nulls: true,
			Call: func(_ *Message, args []Value) Value {
				if args[0].kind == Null {
					return args[1]
				}
				return args[0]
			},
		},
	}
}

func round() Function {
	return Function{
		Name: "round", Usage: "round(number[, digits])", Summary: "The number rounded to digits behind the point, 0 if left out; halves go away from zero.",
		MinArgs: 1, MaxArgs: 2, Args: []Kinds{Numbers}, Result: 1 << Number,
		Call: func(_ *Message, args []Value) Value {
			n, ok := args[0].Number()
			if !ok {
				return Value{}
			}
			digits := 0.0
			if len(args) == 2 {
				if digits, ok = args[1].Number(); !ok || math.Abs(digits) > 15 {
					return Value{}
				}
			}
			scale := math.Pow(10, math.Trunc(digits))
			return numberValue(math.Round(n*scale) / scale)
		},
	}
}

func logarithm() Function {
	return Function{
		Name: "log", Usage: "log(number[, base])", Summary: "The logarithm, to base e if base is left out.",
		MinArgs: 1, MaxArgs: 2, Args: []Kinds{Numbers}, Result: 1 << Number,
		Call: func(_ *Message, args []Value) Value {
			n, ok := args[0].Number()
			if !ok {
				return Value{}
			}
			if len(args) == 1 {
				return numberValue(math.Log(n))
			}
			base, ok := args[1].Number()
			switch {
			case !ok:
				return Value{}
			case base == 10:
				return numberValue(math.Log10(n))
			case base == 2:
				return numberValue(math.Log2(n))
			}
			return numberValue(math.Log(n) / math.Log(base))
		},
	}
}

func randint() Function {
	return Function{
		Name: "randint", Usage: "randint(from, to)", Summary: "A whole number, both ends included.",
		MinArgs: 2, MaxArgs: 2, Args: []Kinds{Numbers}, Result: 1 << Number,
		Call: func(_ *Message, args []Value) Value {
			a, okA := args[0].Number()
			b, okB := args[1].Number()
			a, b = math.Ceil(a), math.Floor(b)
			if !okA || !okB || b < a || b-a > 1<<53 {
				return Value{}
			}
			return numberValue(a + float64(rand.Int64N(int64(b-a)+1)))
		},
	}
}
