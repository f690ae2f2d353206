// SPDX-License-Identifier: Apache-2.0

package alink

// Valid reports whether b is one JSON value (RFC 8259), with white space around
// it at most, that nests no deeper than MaxDepth. Like Parse it does not look into
// the UTF-8 of strings. It allocates nothing.
func Valid(b []byte) bool {
	i, f := scanValue(b, space(b, 0), MaxDepth)
	return f == sound && space(b, i) == len(b)
}
