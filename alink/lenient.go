// SPDX-License-Identifier: Apache-2.0

package alink

import "bytes"

// TrimNUL drops the NUL bytes some devices send behind their JSON (wire facts,
// section 1 row 29).
func TrimNUL(payload []byte) []byte { return bytes.TrimRight(payload, "\x00") }

// LenientParams returns the params of a message for a handler that needs an
// object or array. Some devices send them as text, "{}" in quotes (wire facts,
// section 1 row 45): such text is returned without its quotes if it is an object
// or array itself. Absent, null and empty params become {}. Anything else is
// returned as it is.
func LenientParams(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte("{}")
	}
	switch raw[0] {
	case 'n':
		return []byte("{}")
	case '"':
		return quotedParams(raw)
	}
	return raw
}

func quotedParams(raw []byte) []byte {
	if len(raw) < 2 {
		return raw
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		inner = []byte(unescape(inner))
	}
	inner = bytes.TrimSpace(inner)
	if len(inner) == 0 {
		return []byte("{}")
	}
	if inner[0] != '{' && inner[0] != '[' {
		return raw
	}
	if end, f := scanValue(inner, 0, MaxDepth); f != sound || end != len(inner) {
		return raw
	}
	return inner
}
