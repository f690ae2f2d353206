// SPDX-License-Identifier: Apache-2.0

package mqttwire

// ParseID decodes the body of a packet that is a packet id and nothing else:
// PUBACK, PUBREC, PUBREL, PUBCOMP and UNSUBACK. The error wraps ErrMalformed.
func ParseID(body []byte) (uint16, error) {
	n, rest, err := id(body)
	if err == nil && len(rest) > 0 {
		err = errLong
	}
	return n, err
}

// ParseEmpty checks the body of a packet that has none: PINGREQ, PINGRESP and
// DISCONNECT. The error wraps ErrMalformed.
func ParseEmpty(body []byte) error {
	if len(body) > 0 {
		return errLong
	}
	return nil
}

// AppendPuback appends a PUBACK.
func AppendPuback(dst []byte, id uint16) []byte { return appendID(dst, byte(TypePuback)<<4, id) }

// AppendPubrec appends a PUBREC.
func AppendPubrec(dst []byte, id uint16) []byte { return appendID(dst, byte(TypePubrec)<<4, id) }

// AppendPubrel appends a PUBREL.
func AppendPubrel(dst []byte, id uint16) []byte { return appendID(dst, byte(TypePubrel)<<4|2, id) }

// AppendPubcomp appends a PUBCOMP.
func AppendPubcomp(dst []byte, id uint16) []byte { return appendID(dst, byte(TypePubcomp)<<4, id) }

// AppendUnsuback appends an UNSUBACK.
func AppendUnsuback(dst []byte, id uint16) []byte { return appendID(dst, byte(TypeUnsuback)<<4, id) }

func appendID(dst []byte, first byte, id uint16) []byte {
	return append(dst, first, 2, byte(id>>8), byte(id))
}

// AppendPingreq appends a PINGREQ.
func AppendPingreq(dst []byte) []byte { return append(dst, byte(TypePingreq)<<4, 0) }

// AppendPingresp appends a PINGRESP.
func AppendPingresp(dst []byte) []byte { return append(dst, byte(TypePingresp)<<4, 0) }

// AppendDisconnect appends a DISCONNECT.
func AppendDisconnect(dst []byte) []byte { return append(dst, byte(TypeDisconnect)<<4, 0) }
