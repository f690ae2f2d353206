// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"math"
	"math/bits"
)

// Field is one row of a Table: a field of a protocol's message and the property it
// becomes.
type Field struct {
	// Name is the field, Property the identifier in the thing model.
	Name, Property string
	// Mask takes bits out of a whole number: the property is what they make when the
	// lowest of them is moved to 1, so that one bit is 0 or 1. Zero takes the number as
	// it is. Values that are no whole number are left out then.
	Mask uint64
	// Scale is what a number is multiplied with, Offset what is added then. A zero
	// Scale is 1. Both zero leave values as they are, numbers or not.
	Scale, Offset float64
}

// Table maps fields of messages to properties.
type Table []Field

// Apply returns the properties of the fields that are there. A field may be in
// more than one row; fields in none are left out.
func (t Table) Apply(fields map[string]any) map[string]any {
	out := make(map[string]any, len(t))
	for _, f := range t {
		v, ok := fields[f.Name]
		if ok && f.Mask != 0 {
			v, ok = f.masked(v)
		}
		if ok {
			out[f.Property] = f.value(v)
		}
	}
	return out
}

// masked takes the bits of Mask out of a whole number.
func (f Field) masked(v any) (any, bool) {
	n, ok := Number(v)
	if !ok || n < 0 || n >= 1<<53 || n != float64(uint64(n)) {
		return nil, false
	}
	return uint64(n) & f.Mask >> bits.TrailingZeros64(f.Mask), true
}

func (f Field) value(v any) any {
	if f.Scale == 0 && f.Offset == 0 {
		return v
	}
	n, ok := Number(v)
	if !ok {
		return v
	}
	return Scale(n, f.Scale) + f.Offset
}

// Scale returns n times factor, where 0 is 1. A factor that is one over a whole number
// divides by that, so that 3 times 0.1 is 0.3 and not a little more.
func Scale(n, factor float64) float64 {
	if factor == 0 {
		return n
	}
	if whole, ok := reciprocal(factor); ok {
		return n / whole
	}
	return n * factor
}

// Unscale is the inverse of Scale. What is a whole number but for the last digits of a
// float64 is returned as one.
func Unscale(n, factor float64) float64 {
	if factor == 0 {
		return n
	}
	n /= factor
	if near := math.Round(n); math.Abs(n-near) < 1e-12*math.Abs(n) {
		return near
	}
	return n
}

// reciprocal returns the whole number one over which is nearest to factor, if it is.
func reciprocal(factor float64) (float64, bool) {
	whole := math.Round(1 / factor)
	return whole, math.Abs(whole) >= 2 && math.Abs(whole) < 1<<53 && 1/whole == factor
}

// Invert returns the field's value for a property's, and false for a property no
// row has, or whose row has a Mask, and for a value that is no number where the row
// scales.
func (t Table) Invert(property string, v any) (name string, value any, ok bool) {
	for _, f := range t {
		if f.Property != property || f.Mask != 0 {
			continue
		}
		if f.Scale == 0 && f.Offset == 0 {
			return f.Name, v, true
		}
		n, isNumber := Number(v)
		if !isNumber {
			return "", nil, false
		}
		return f.Name, Unscale(n-f.Offset, f.Scale), true
	}
	return "", nil, false
}

// Number returns a numeric value of Go as a float64; true is 1 and false 0.
func Number(v any) (float64, bool) {
	switch n := v.(type) {
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	case int:
		return float64(n), true
	case int8:
		return float64(n), true
	case int16:
		return float64(n), true
	case int32:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint8:
		return float64(n), true
	case uint16:
		return float64(n), true
	case uint32:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float32:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
