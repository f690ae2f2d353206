// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"math"
	"strconv"
)

// powers are the powers of ten a float64 holds exactly.
var powers = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// number reads a JSON number. ok is false for anything else and for numbers a
// float64 cannot hold.
func number(raw []byte) (f float64, ok bool) {
	i, neg := 0, false
	if len(raw) > 0 && raw[0] == '-' {
		i, neg = 1, true
	}
	if i >= len(raw) || raw[i] < '0' || raw[i] > '9' {
		return 0, false
	}
	digits := uint64(0)
	fraction, point := 0, false
	for ; i < len(raw); i++ {
		switch c := raw[i]; {
		case c >= '0' && c <= '9':
			digits = digits*10 + uint64(c-'0')
			if point {
				fraction++
			}
		case c == '.' && !point:
			point = true
		default:
			return slowNumber(raw)
		}
		if digits >= 1<<53 || fraction >= len(powers) {
			return slowNumber(raw)
		}
	}
	f = float64(digits) / powers[fraction]
	if neg {
		f = -f
	}
	return f, true
}

// slowNumber takes exponents and many digits.
func slowNumber(raw []byte) (float64, bool) {
	f, err := strconv.ParseFloat(text(raw), 64)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}
