// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// ID says what a message is.
type ID uint16

// The messages this package knows. Those from 0x8000 go to the terminal.
const (
	TerminalAnswer  ID = 0x0001
	Heartbeat       ID = 0x0002
	Logout          ID = 0x0003
	QueryTime       ID = 0x0004 // of 2019
	PartsAgainUp    ID = 0x0005 // of 2019
	RegisterID      ID = 0x0100
	AuthenticateID  ID = 0x0102
	ParametersReply ID = 0x0104
	AttributesReply ID = 0x0107
	LocationID      ID = 0x0200
	LocationReply   ID = 0x0201
	BatchID         ID = 0x0704

	PlatformAnswer  ID = 0x8001
	PartsAgain      ID = 0x8003
	TimeReply       ID = 0x8004 // of 2019
	RegisterReply   ID = 0x8100
	SetParameters   ID = 0x8103
	QueryParameters ID = 0x8104
	ControlID       ID = 0x8105
	QuerySome       ID = 0x8106
	QueryAttributes ID = 0x8107
	QueryLocation   ID = 0x8201
	TrackID         ID = 0x8202
	TextDown        ID = 0x8300
)

// Result is what a general answer says.
type Result uint8

// The results of general answers (clauses 8.1 and 8.2).
const (
	Done Result = iota
	Failed
	Wrong
	Unsupported
	AlarmConfirmed // by the platform only
)

// Answer is a general answer of either side.
type Answer struct {
	Serial uint16 // of the message that is answered
	ID     ID     // of that message
	Result Result
}

// ParseAnswer reads the body of TerminalAnswer or PlatformAnswer.
func ParseAnswer(b []byte) (Answer, error) {
	if len(b) != 5 {
		return Answer{}, short("answer", b)
	}
	return Answer{binary.BigEndian.Uint16(b), ID(binary.BigEndian.Uint16(b[2:])), Result(b[4])}, nil
}

// Append appends the body.
func (a Answer) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, a.Serial)
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.ID))
	return append(dst, byte(a.Result))
}

// Register is a terminal's registration (clause 8.8).
type Register struct {
	Province, City uint16
	Maker          string // 5 bytes, 11 in 2019
	Model          string // 20 bytes, 30 in 2019
	Terminal       string // 7 bytes, 30 in 2019
	PlateColour    uint8
	Plate          string
}

// ParseRegister reads the body of RegisterID.
func ParseRegister(v Version, b []byte) (Register, error) {
	n := [3]int{5, 20, 7}
	if v == V2019 {
		n = [3]int{11, 30, 30}
	}
	if len(b) < 5+n[0]+n[1]+n[2] {
		return Register{}, short("registration", b)
	}
	r := Register{Province: binary.BigEndian.Uint16(b), City: binary.BigEndian.Uint16(b[2:])}
	b = b[4:]
	for i, s := range []*string{&r.Maker, &r.Model, &r.Terminal} {
		*s = fromGBK(b[:n[i]])
		b = b[n[i]:]
	}
	r.PlateColour, r.Plate = b[0], fromGBK(b[1:])
	return r, nil
}

// Append appends the body. It fails with ErrValue when a text is too long.
func (r Register) Append(dst []byte, v Version) ([]byte, error) {
	n := [3]int{5, 20, 7}
	if v == V2019 {
		n = [3]int{11, 30, 30}
	}
	dst = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, r.Province), r.City)
	for i, s := range []string{r.Maker, r.Model, r.Terminal} {
		var err error
		if dst, err = appendFixed(dst, s, n[i]); err != nil {
			return dst, err
		}
	}
	plate, err := toGBK(r.Plate)
	return append(append(dst, r.PlateColour), plate...), err
}

// RegisterAnswer is the platform's answer to a registration (clause 8.9).
type RegisterAnswer struct {
	Serial uint16 // of the registration
	// Result is 0 for success, 1 the vehicle is registered, 2 there is no such
	// vehicle, 3 the terminal is registered, 4 there is no such terminal.
	Result uint8
	Code   string // to authenticate with, when Result is 0
}

// ParseRegisterAnswer reads the body of RegisterReply.
func ParseRegisterAnswer(b []byte) (RegisterAnswer, error) {
	if len(b) < 3 {
		return RegisterAnswer{}, short("answer to a registration", b)
	}
	return RegisterAnswer{binary.BigEndian.Uint16(b), b[2], fromGBK(b[3:])}, nil
}

// Append appends the body.
func (a RegisterAnswer) Append(dst []byte) ([]byte, error) {
	code, err := toGBK(a.Code)
	return append(append(binary.BigEndian.AppendUint16(dst, a.Serial), a.Result), code...), err
}

// Authenticate is a terminal's login (clause 8.10). IMEI and Software are of 2019.
type Authenticate struct {
	Code           string
	IMEI, Software string
}

// ParseAuthenticate reads the body of AuthenticateID.
func ParseAuthenticate(v Version, b []byte) (Authenticate, error) {
	if v == V2013 {
		return Authenticate{Code: fromGBK(b)}, nil
	}
	if len(b) < 1 || len(b) < 1+int(b[0])+15+20 {
		return Authenticate{}, short("authentication", b)
	}
	n := 1 + int(b[0])
	return Authenticate{fromGBK(b[1:n]), fromGBK(b[n : n+15]), fromGBK(b[n+15 : n+35])}, nil
}

// Append appends the body. It fails with ErrValue when a text is too long.
func (a Authenticate) Append(dst []byte, v Version) ([]byte, error) {
	code, err := toGBK(a.Code)
	if v == V2013 || err != nil {
		return append(dst, code...), err
	}
	if len(code) > 255 {
		return dst, fmt.Errorf("%w: code of %d bytes", ErrValue, len(code))
	}
	dst = append(append(dst, byte(len(code))), code...)
	if dst, err = appendFixed(dst, a.IMEI, 15); err != nil {
		return dst, err
	}
	return appendFixed(dst, a.Software, 20)
}

// Text is a text for the driver (clause 8.23).
type Text struct {
	Flag uint8 // 1 urgent, 4 on the display, 8 read aloud, 16 on the advertisement screen
	Kind uint8 // 2019: 1 a notice, 2 a service
	Text string
}

// ParseText reads the body of TextDown.
func ParseText(v Version, b []byte) (Text, error) {
	n := 1
	if v == V2019 {
		n = 2
	}
	if len(b) < n {
		return Text{}, short("text", b)
	}
	t := Text{Flag: b[0], Text: fromGBK(b[n:])}
	if v == V2019 {
		t.Kind = b[1]
	}
	return t, nil
}

// Append appends the body.
func (t Text) Append(dst []byte, v Version) ([]byte, error) {
	dst = append(dst, t.Flag)
	if v == V2019 {
		dst = append(dst, t.Kind)
	}
	text, err := toGBK(t.Text)
	return append(dst, text...), err
}

func short(what string, b []byte) error {
	return fmt.Errorf("%w: %s of %d bytes", ErrBody, what, len(b))
}

// fromGBK decodes a text up to its first zero.
func fromGBK(b []byte) string {
	if s, _, _ := strings.Cut(string(b), "\x00"); s != "" {
		if out, err := simplifiedchinese.GBK.NewDecoder().String(s); err == nil {
			return out
		}
	}
	return ""
}

func toGBK(s string) ([]byte, error) {
	out, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(s))
	if err != nil || strings.Contains(s, "\x00") {
		return nil, fmt.Errorf("%w: %q is not GBK", ErrValue, s)
	}
	return out, nil
}

// appendFixed appends a text filled with zeros to n bytes.
func appendFixed(dst []byte, s string, n int) ([]byte, error) {
	b, err := toGBK(s)
	if err == nil && len(b) > n {
		err = fmt.Errorf("%w: %q is longer than %d bytes", ErrValue, s, n)
	}
	if err != nil {
		return dst, err
	}
	return append(append(dst, b...), make([]byte, n-len(b))...), nil
}
