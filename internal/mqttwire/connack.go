// SPDX-License-Identifier: Apache-2.0

package mqttwire

// Code is the return code of a CONNACK (MQTT 3.1.1 section 3.2.2.3).
type Code byte

// The return codes.
const (
	Accepted       Code = iota
	BadVersion          // unacceptable protocol version
	BadClientID         // identifier rejected
	Unavailable         // server unavailable
	BadCredentials      // bad user name or password
	NotAuthorized       // not authorized
)

// Connack is the CONNACK packet.
type Connack struct {
	SessionPresent bool // always false in MQTT 3.1
	Code           Code
}

// AppendConnack appends a CONNACK.
func AppendConnack(dst []byte, c Connack) []byte {
	var present byte
	if c.SessionPresent {
		present = 1
	}
	return append(dst, byte(TypeConnack)<<4, 2, present, byte(c.Code))
}

// ParseConnack decodes the body of a CONNACK. The error wraps ErrMalformed.
func ParseConnack(body []byte) (Connack, error) {
	switch {
	case len(body) < 2:
		return Connack{}, errShort
	case len(body) > 2:
		return Connack{}, errLong
	case body[0] > 1:
		return Connack{}, malformed("reserved CONNACK flags")
	}
	return Connack{SessionPresent: body[0] == 1, Code: Code(body[1])}, nil
}
