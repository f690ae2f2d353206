// SPDX-License-Identifier: Apache-2.0

package mqttwire

import (
	"errors"
	"fmt"
)

// Type is the kind of a control packet (MQTT 3.1.1 section 2.2.1).
type Type byte

// The control packets.
const (
	TypeConnect Type = iota + 1
	TypeConnack
	TypePublish
	TypePuback
	TypePubrec
	TypePubrel
	TypePubcomp
	TypeSubscribe
	TypeSuback
	TypeUnsubscribe
	TypeUnsuback
	TypePingreq
	TypePingresp
	TypeDisconnect
)

var typeNames = [16]string{
	"type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "type 15",
}

// String returns the name the standard uses, such as "PUBLISH".
func (t Type) String() string { return typeNames[t&15] }

// ErrMalformed is wrapped by every error about bytes that are not MQTT.
var ErrMalformed = errors.New("mqttwire: malformed packet")

// ErrTooLarge is what Split answers for a packet over the limit.
var ErrTooLarge = errors.New("mqttwire: packet too large")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

var (
	errLength = malformed("remaining length has more than four bytes")
	errHeader = malformed("reserved type or flags")
	errShort  = malformed("packet ends early")
	errLong   = malformed("bytes after the end")
	errString = malformed("string is not UTF-8 or holds NUL")
	errZeroID = malformed("packet id 0")
)

// MaxRemaining is the largest remaining length the format can express.
const MaxRemaining = 268_435_455

// Packet is one control packet: the first byte of its header and the bytes
// that follow the remaining length.
type Packet struct {
	First byte
	Body  []byte
}

// Type returns the kind of the packet.
func (p Packet) Type() Type { return Type(p.First >> 4) }

// flagSets holds for each type the flag values that are accepted, as a bit set.
// SUBSCRIBE, UNSUBSCRIBE and PUBREL demand 0010 (MQTT 3.1.1 section 2.2.2), but
// LinkSDK C 4.1.0 unsubscribes with 0000, so both pass.
var flagSets = [16]uint16{
	TypeConnect: 1, TypeConnack: 1, TypePublish: 0x3f3f, TypePuback: 1, TypePubrec: 1, TypePubrel: 5, TypePubcomp: 1,
	TypeSubscribe: 5, TypeSuback: 1, TypeUnsubscribe: 5, TypeUnsuback: 1, TypePingreq: 1, TypePingresp: 1, TypeDisconnect: 1,
}

// Split looks for a packet at the start of b. n is how many bytes it takes, or
// zero while its header is incomplete; p is set once len(b) >= n > 0, and its
// Body aliases b.
//
// The error is ErrTooLarge when the remaining length is over maxBody, or wraps
// ErrMalformed for a bad header. Neither waits for the body.
func Split(b []byte, maxBody int) (p Packet, n int, err error) {
	if len(b) == 0 {
		return p, 0, nil
	}
	if flagSets[b[0]>>4]>>(b[0]&15)&1 == 0 {
		return p, 0, errHeader
	}
	size, head := 0, 1
	for shift := 0; ; shift += 7 {
		if shift > 21 {
			return p, 0, errLength
		}
		if head == len(b) {
			return p, 0, nil
		}
		digit := b[head]
		head++
		size |= int(digit&0x7f) << shift
		if digit < 0x80 {
			break
		}
	}
	if size > maxBody {
		return p, 0, ErrTooLarge
	}
	n = head + size
	if len(b) >= n {
		p = Packet{First: b[0], Body: b[head:n:n]}
	}
	return p, n, nil
}

// appendHeader appends a fixed header.
func appendHeader(dst []byte, first byte, size int) []byte {
	dst = append(dst, first)
	for size > 0x7f {
		dst = append(dst, byte(size)|0x80)
		size >>= 7
	}
	return append(dst, byte(size))
}
