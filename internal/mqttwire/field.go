// SPDX-License-Identifier: Apache-2.0

package mqttwire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// field cuts a length-prefixed field off b.
func field(b []byte) (f, rest []byte, err error) {
	if len(b) < 2 {
		return nil, nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, errShort
	}
	return b[2 : 2+n : 2+n], b[2+n:], nil
}

// text is field for a string: UTF-8 without NUL (MQTT 3.1.1 section 1.5.3).
func text(b []byte) (f, rest []byte, err error) {
	f, rest, err = field(b)
	if err == nil && (bytes.IndexByte(f, 0) >= 0 || !utf8.Valid(f)) {
		err = errString
	}
	return f, rest, err
}

// id cuts a packet id off b, which is never zero (MQTT 3.1.1 section 2.3.1).
func id(b []byte) (n uint16, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, errShort
	}
	n = binary.BigEndian.Uint16(b)
	if n == 0 {
		return 0, nil, errZeroID
	}
	return n, b[2:], nil
}

func appendField[T string | []byte](dst []byte, f T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(f)))
	return append(dst, f...)
}
