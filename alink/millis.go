// SPDX-License-Identifier: Apache-2.0

package alink

import "strconv"

// millis reads a JSON number of milliseconds. Fractions are cut off, as in the
// 1.524448722E12 of some encoders. Numbers no clock shows count as none, 0.
func millis(raw []byte) (ms int64, ok bool) {
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	if n, ok := integer(raw); ok {
		return max(n, 0), true
	}
	f, err := strconv.ParseFloat(view(raw), 64)
	if err != nil || f < 0 || f >= 1<<53 {
		return 0, true
	}
	return int64(f), true
}
