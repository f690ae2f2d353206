// SPDX-License-Identifier: Apache-2.0

package alink

import "strings"

// Member returns the value of a member of a JSON object, the first whose key is
// name in any case, as SDKs differ in it. The value is part of raw. ok is false
// when raw is no object or has no such member.
func Member(raw []byte, name string) (value []byte, ok bool) {
	w := walker{b: raw, i: space(raw, 0)}
	for w.next() {
		key := keyText(w.key)
		value := w.value(MaxDepth - 1)
		if w.fault != sound {
			return nil, false
		}
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return nil, false
}
