// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Control is an order to a terminal (clause 8.15).
type Control struct {
	Command uint8
	// Params are those of ControlUpgrade and ControlConnect, separated by semicolons.
	Params string
}

// The commands of Control.
const (
	ControlUpgrade = 1 + iota // over the air
	ControlConnect            // to another server
	ControlOff                // switch off
	ControlReset              // start again
	ControlFactory            // settings of the factory
	ControlNoData             // close the data connection
	ControlNoRadio            // close all radio
)

// ParseControl reads the body of ControlID.
func ParseControl(b []byte) (Control, error) {
	if len(b) < 1 {
		return Control{}, short("control", b)
	}
	return Control{b[0], fromGBK(b[1:])}, nil
}

// Append appends the body.
func (c Control) Append(dst []byte) ([]byte, error) {
	params, err := toGBK(c.Params)
	return append(append(dst, c.Command), params...), err
}

// Attributes are what a terminal is (clause 8.20).
type Attributes struct {
	Type               uint16 // bits: what vehicles it is for, what it has
	Maker              string // 5 bytes
	Model              string // 20 bytes, 30 in 2019
	Terminal           string // 7 bytes, 30 in 2019
	ICCID              string // 20 digits
	Hardware, Firmware string // versions
	GNSS               uint8  // bits: 1 GPS, 2 BeiDou, 4 GLONASS, 8 Galileo
	Radio              uint8  // bits: 1 GPRS, 2 CDMA, 4 TD-SCDMA, 8 WCDMA, 16 CDMA2000, 32 TD-LTE, 128 other
}

// attributeSizes are how many bytes Maker, Model and Terminal have.
func attributeSizes(v Version) [3]int {
	if v == V2019 {
		return [3]int{5, 30, 30}
	}
	return [3]int{5, 20, 7}
}

// ParseAttributes reads the body of AttributesReply. Of 2019 it takes makers of 11
// bytes too, as some terminals send them.
func ParseAttributes(v Version, b []byte) (Attributes, error) {
	a, err := parseAttributes(attributeSizes(v), b)
	if err != nil && v == V2019 {
		if long, failed := parseAttributes([3]int{11, 30, 30}, b); failed == nil {
			return long, nil
		}
	}
	return a, err
}

func parseAttributes(n [3]int, b []byte) (Attributes, error) {
	if len(b) < 2+n[0]+n[1]+n[2]+10 {
		return Attributes{}, short("attributes", b)
	}
	a := Attributes{Type: binary.BigEndian.Uint16(b)}
	b = b[2:]
	for i, s := range []*string{&a.Maker, &a.Model, &a.Terminal} {
		*s = fromGBK(b[:n[i]])
		b = b[n[i]:]
	}
	var err error
	if a.ICCID, err = fromBCD(b[:10]); err != nil {
		return Attributes{}, fmt.Errorf("%w: ICCID %x", ErrBody, b[:10])
	}
	b = b[10:]
	for _, s := range []*string{&a.Hardware, &a.Firmware} {
		if len(b) < 1 || len(b) < 1+int(b[0]) {
			return Attributes{}, short("version", b)
		}
		end := 1 + int(b[0])
		*s = fromGBK(b[1:end])
		b = b[end:]
	}
	if len(b) != 2 {
		return Attributes{}, short("end of attributes", b)
	}
	a.GNSS, a.Radio = b[0], b[1]
	return a, nil
}

// Append appends the body. It fails with ErrValue when a text is too long or ICCID is
// no number.
func (a Attributes) Append(dst []byte, v Version) ([]byte, error) {
	n := attributeSizes(v)
	dst = binary.BigEndian.AppendUint16(dst, a.Type)
	var err error
	for i, s := range []string{a.Maker, a.Model, a.Terminal} {
		if dst, err = appendFixed(dst, s, n[i]); err != nil {
			return dst, err
		}
	}
	if dst, err = appendBCD(dst, a.ICCID, 10); err != nil {
		return dst, err
	}
	for _, s := range []string{a.Hardware, a.Firmware} {
		text, err := toGBK(s)
		if err == nil && len(text) > 255 {
			err = fmt.Errorf("%w: version of %d bytes", ErrValue, len(text))
		}
		if err != nil {
			return dst, err
		}
		dst = append(append(dst, byte(len(text))), text...)
	}
	return append(dst, a.GNSS, a.Radio), nil
}

// ParseIDs reads the body of QuerySome: the ids of parameters.
func ParseIDs(b []byte) ([]uint32, error) {
	if len(b) < 1 || len(b) != 1+4*int(b[0]) {
		return nil, short("ids of parameters", b)
	}
	var ids []uint32
	for b = b[1:]; len(b) > 0; b = b[4:] {
		ids = append(ids, binary.BigEndian.Uint32(b))
	}
	return ids, nil
}

// AppendIDs appends the body of QuerySome. It fails with ErrValue for more than 255.
func AppendIDs(dst []byte, ids []uint32) ([]byte, error) {
	if len(ids) > 255 {
		return dst, fmt.Errorf("%w: %d ids", ErrValue, len(ids))
	}
	dst = append(dst, byte(len(ids)))
	for _, id := range ids {
		dst = binary.BigEndian.AppendUint32(dst, id)
	}
	return dst, nil
}

// Tracking has a terminal report more often for a while (clause 8.26).
type Tracking struct {
	Interval uint16 // s; 0 ends it
	Seconds  uint32 // how long; not sent when Interval is 0
}

// ParseTracking reads the body of TrackID.
func ParseTracking(b []byte) (Tracking, error) {
	if len(b) < 2 {
		return Tracking{}, short("tracking", b)
	}
	t := Tracking{Interval: binary.BigEndian.Uint16(b)}
	switch {
	case len(b) == 6:
		t.Seconds = binary.BigEndian.Uint32(b[2:])
	case len(b) != 2 || t.Interval != 0:
		return Tracking{}, short("tracking", b)
	}
	return t, nil
}

// Append appends the body.
func (t Tracking) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, t.Interval)
	if t.Interval == 0 {
		return dst
	}
	return binary.BigEndian.AppendUint32(dst, t.Seconds)
}

// ParseServerTime reads the body of TimeReply, which is UTC.
func ParseServerTime(b []byte) (time.Time, error) {
	if len(b) != 6 {
		return time.Time{}, short("time", b)
	}
	return parseTimeIn(b, time.UTC)
}

// AppendServerTime appends the body of TimeReply. It fails with ErrValue for years
// outside 2000 to 2099.
func AppendServerTime(dst []byte, t time.Time) ([]byte, error) {
	return appendTimeIn(dst, t, time.UTC)
}
