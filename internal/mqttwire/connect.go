// SPDX-License-Identifier: Apache-2.0

package mqttwire

import "encoding/binary"

// The protocol levels this package speaks.
const (
	Level31  = 3 // MQTT 3.1, protocol name "MQIsdp"
	Level311 = 4 // MQTT 3.1.1, protocol name "MQTT"
)

// The flags of CONNECT (MQTT 3.1.1 section 3.1.2.3).
const (
	flagReserved   = 0x01
	flagClean      = 0x02
	flagWill       = 0x04
	flagWillQoS    = 0x18
	flagWillRetain = 0x20
	flagPassword   = 0x40
	flagUserName   = 0x80
)

// VersionError is a CONNECT of an MQTT version this package does not speak.
type VersionError struct{ Level byte }

// Error says that the level is not spoken.
func (e *VersionError) Error() string { return "mqttwire: protocol level not spoken" }

// Connect is the CONNECT packet.
type Connect struct {
	Level        byte // Level31 or Level311
	CleanSession bool
	KeepAlive    uint16 // seconds
	ClientID     string
	Will         *Will
	// HasUserName and HasPassword tell an empty field from a missing one.
	HasUserName, HasPassword bool
	UserName                 string
	Password                 []byte
}

// Will is what a client wants published when it vanishes.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// ParseConnect decodes the body of a CONNECT. Strings are copies, Password and
// the will's payload alias body. The error is a *VersionError when the client
// speaks another MQTT, or wraps ErrMalformed.
func ParseConnect(body []byte) (Connect, error) {
	name, b, err := field(body)
	if err != nil {
		return Connect{}, err
	}
	if s := string(name); s != "MQTT" && s != "MQIsdp" {
		return Connect{}, malformed("unknown protocol name")
	}
	if len(b) < 1 {
		return Connect{}, errShort
	}
	c := Connect{Level: b[0]}
	if c.Level == Level31 && len(name) == 6 || c.Level == Level311 && len(name) == 4 {
		err = c.parse(b[1:])
		return c, err
	}
	return c, &VersionError{Level: c.Level}
}

// parse decodes what follows the level.
func (c *Connect) parse(b []byte) error {
	if len(b) < 3 {
		return errShort
	}
	flags := b[0]
	if err := checkConnectFlags(flags, c.Level); err != nil {
		return err
	}
	c.CleanSession = flags&flagClean != 0
	c.KeepAlive = binary.BigEndian.Uint16(b[1:])
	clientID, b, err := text(b[3:])
	if err != nil {
		return err
	}
	c.ClientID = string(clientID)
	if flags&flagWill != 0 {
		if b, err = c.parseWill(flags, b); err != nil {
			return err
		}
	}
	return c.parseLogin(flags, b)
}

func checkConnectFlags(flags, level byte) error {
	switch {
	case flags&flagReserved != 0: // MQTT-3.1.2-3
		return malformed("reserved connect flag")
	case flags&flagWillQoS == flagWillQoS: // MQTT-3.1.2-14
		return malformed("will with QoS 3")
	case level == Level311 && flags&flagWill == 0 && flags&(flagWillQoS|flagWillRetain) != 0: // MQTT-3.1.2-13, -15
		return malformed("will flags without a will")
	case flags&flagUserName == 0 && flags&flagPassword != 0: // MQTT-3.1.2-22
		return malformed("password without user name")
	}
	return nil
}

func (c *Connect) parseWill(flags byte, b []byte) ([]byte, error) {
	topic, b, err := text(b)
	if err != nil {
		return nil, err
	}
	payload, b, err := field(b)
	if err != nil {
		return nil, err
	}
	c.Will = &Will{
		Topic:   string(topic),
		Payload: payload,
		QoS:     flags & flagWillQoS >> 3,
		Retain:  flags&flagWillRetain != 0,
	}
	return b, nil
}

// parseLogin decodes user name and password. MQTT 3.1 lets both be missing
// although their flags are set (its section 3.1, "User name and password flags").
func (c *Connect) parseLogin(flags byte, b []byte) error {
	lenient := c.Level == Level31
	if flags&flagUserName != 0 && (len(b) > 0 || !lenient) {
		name, rest, err := text(b)
		if err != nil {
			return err
		}
		c.HasUserName, c.UserName, b = true, string(name), rest
	}
	if flags&flagPassword != 0 && (len(b) > 0 || !lenient) {
		password, rest, err := field(b)
		if err != nil {
			return err
		}
		c.HasPassword, c.Password, b = true, password, rest
	}
	if len(b) > 0 {
		return errLong
	}
	return nil
}

// AppendConnect appends a CONNECT. Level31 is sent as "MQIsdp", every other
// level as "MQTT".
func AppendConnect(dst []byte, c *Connect) []byte {
	name := "MQTT"
	if c.Level == Level31 {
		name = "MQIsdp"
	}
	dst = appendHeader(dst, byte(TypeConnect)<<4, c.size(name))
	dst = appendField(dst, name)
	dst = append(dst, c.Level, c.flags())
	dst = binary.BigEndian.AppendUint16(dst, c.KeepAlive)
	dst = appendField(dst, c.ClientID)
	if c.Will != nil {
		dst = appendField(dst, c.Will.Topic)
		dst = appendField(dst, c.Will.Payload)
	}
	if c.HasUserName {
		dst = appendField(dst, c.UserName)
	}
	if c.HasPassword {
		dst = appendField(dst, c.Password)
	}
	return dst
}

func (c *Connect) size(name string) int {
	n := 2 + len(name) + 4 + 2 + len(c.ClientID)
	if c.Will != nil {
		n += 2 + len(c.Will.Topic) + 2 + len(c.Will.Payload)
	}
	if c.HasUserName {
		n += 2 + len(c.UserName)
	}
	if c.HasPassword {
		n += 2 + len(c.Password)
	}
	return n
}

func (c *Connect) flags() byte {
	var f byte
	if c.CleanSession {
		f |= flagClean
	}
	if c.Will != nil {
		f |= flagWill | c.Will.QoS<<3&flagWillQoS
		if c.Will.Retain {
			f |= flagWillRetain
		}
	}
	if c.HasUserName {
		f |= flagUserName
	}
	if c.HasPassword {
		f |= flagPassword
	}
	return f
}
