// SPDX-License-Identifier: Apache-2.0

package alink

// EachElement calls f for each element of a JSON array until f returns false.
// value is part of array. The error wraps ErrMalformed when array is none; f may
// have been called by then.
func EachElement(array []byte, f func(value []byte) bool) error {
	i := space(array, 0)
	switch {
	case i >= len(array):
		return malformed(unexpectedEnd, i)
	case array[i] != '[':
		return malformed(notArray, i)
	}
	i = space(array, i+1)
	if i < len(array) && array[i] == ']' {
		return noMore(array, i+1)
	}
	for {
		end, ft := scanValue(array, i, MaxDepth-1)
		if ft != sound {
			return malformed(ft, end)
		}
		if !f(array[i:end]) {
			return nil
		}
		if i, ft = next(array, end, ']'); ft != sound {
			return malformed(ft, i)
		}
		if array[i-1] == ']' {
			return noMore(array, i)
		}
		i = space(array, i)
	}
}

// noMore checks that nothing follows a value that ends before i.
func noMore(b []byte, i int) error {
	if i = space(b, i); i < len(b) {
		return malformed(trailingBytes, i)
	}
	return nil
}
