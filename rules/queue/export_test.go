// SPDX-License-Identifier: Apache-2.0

package queue

// RecodePlace reads a stored place and writes it anew.
func RecodePlace(b []byte) (next uint64, done []uint64, again []byte, err error) {
	p, err := decodePlace(b)
	if err != nil {
		return 0, nil, nil, err
	}
	return p.next, p.done, p.encode(), nil
}

// EncodePlace writes a place.
func EncodePlace(next uint64, done []uint64) []byte { return place{next, done}.encode() }
