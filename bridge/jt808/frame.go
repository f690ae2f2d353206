// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// flag begins and ends a frame; within, it and escape are escaped (clause 4.4).
const (
	flag   = 0x7e
	escape = 0x7d
)

// MaxBody is the longest body of one frame, in bytes.
const MaxBody = 1023

// maxFrame is the longest frame between its flags, escaped throughout.
const maxFrame = 2 * (21 + MaxBody + 1)

// The errors of the codec.
var (
	// ErrFrame means bytes that are no frame.
	ErrFrame = errors.New("jt808: no frame")
	// ErrChecksum means a frame whose checksum is wrong.
	ErrChecksum = errors.New("jt808: wrong checksum")
	// ErrBody means a body that does not fit its message.
	ErrBody = errors.New("jt808: bad body")
	// ErrValue means a value a message cannot carry.
	ErrValue = errors.New("jt808: value cannot be sent")
)

// Version is that of the standard a terminal speaks.
type Version uint8

// The versions that differ in layout.
const (
	V2013 Version = iota
	V2019
)

// Frame is one message, or a part of one (clause 4.4.3).
type Frame struct {
	ID      ID
	Version Version
	// Revision is the protocol version of the 2019 header, 1 at first.
	Revision uint8
	// Phone is the terminal's number: 12 digits, 20 in 2019. Shorter ones are filled
	// with zeros when sent.
	Phone  string
	Serial uint16
	// Encryption is 0 for none.
	Encryption uint8
	// Total and Index are those of a sub-package, from 1; Total is 0 for a whole
	// message.
	Total, Index uint16
	Body         []byte
}

// Decode reads what stands between two flags. The body is the frame's own.
func Decode(escaped []byte) (Frame, error) {
	var f Frame
	b, err := unescape(escaped)
	if err != nil {
		return f, err
	}
	if len(b) < 13 {
		return f, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	sum := b[len(b)-1]
	b = b[:len(b)-1]
	if got := checksum(b); got != sum {
		return f, fmt.Errorf("%w: %#02x, not %#02x", ErrChecksum, got, sum)
	}
	props := binary.BigEndian.Uint16(b[2:])
	f.ID, f.Encryption = ID(binary.BigEndian.Uint16(b)), uint8(props>>10&7)
	rest, digits := b[4:], 6
	if props&(1<<14) != 0 {
		f.Version, f.Revision, digits = V2019, rest[0], 10
		rest = rest[1:]
	}
	parts := 0
	if props&(1<<13) != 0 {
		parts = 4
	}
	if len(rest) < digits+2+parts {
		return f, fmt.Errorf("%w: header cut short", ErrFrame)
	}
	if f.Phone, err = fromBCD(rest[:digits]); err != nil {
		return f, err
	}
	rest = rest[digits:]
	f.Serial = binary.BigEndian.Uint16(rest)
	rest = rest[2:]
	if parts > 0 {
		f.Total, f.Index = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
		rest = rest[4:]
		if f.Index == 0 || f.Index > f.Total {
			return f, fmt.Errorf("%w: part %d of %d", ErrFrame, f.Index, f.Total)
		}
	}
	if n := int(props & 0x3ff); n != len(rest) {
		return f, fmt.Errorf("%w: body of %d bytes is said to have %d", ErrFrame, len(rest), n)
	}
	f.Body = rest
	return f, nil
}

// Append appends the frame with its flags. It fails with ErrValue when Phone is no
// number that fits or Body is longer than MaxBody.
func (f *Frame) Append(dst []byte) ([]byte, error) {
	if len(f.Body) > MaxBody || f.Encryption > 7 || f.Total > 0 && (f.Index == 0 || f.Index > f.Total) {
		return dst, fmt.Errorf("%w: body of %d bytes, part %d of %d", ErrValue, len(f.Body), f.Index, f.Total)
	}
	props := uint16(len(f.Body)) | uint16(f.Encryption)<<10
	if f.Total > 0 {
		props |= 1 << 13
	}
	raw := binary.BigEndian.AppendUint16(make([]byte, 0, 32+len(f.Body)), uint16(f.ID))
	digits := 6
	if f.Version == V2019 {
		props |= 1 << 14
		digits = 10
	}
	raw = binary.BigEndian.AppendUint16(raw, props)
	if f.Version == V2019 {
		raw = append(raw, f.Revision)
	}
	var err error
	if raw, err = appendBCD(raw, f.Phone, digits); err != nil {
		return dst, err
	}
	raw = binary.BigEndian.AppendUint16(raw, f.Serial)
	if f.Total > 0 {
		raw = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(raw, f.Total), f.Index)
	}
	raw = append(raw, f.Body...)
	raw = append(raw, checksum(raw))
	dst = append(dst, flag)
	for _, b := range raw {
		switch b {
		case flag:
			dst = append(dst, escape, 2)
		case escape:
			dst = append(dst, escape, 1)
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, flag), nil
}

// Split returns the frames of a message whose body may be longer than MaxBody:
// the frame itself, or sub-packages with rising serials.
func (f *Frame) Split() []Frame {
	if len(f.Body) <= MaxBody {
		return []Frame{*f}
	}
	n := (len(f.Body) + MaxBody - 1) / MaxBody
	all := make([]Frame, 0, n)
	for i := range n {
		part := *f
		part.Total, part.Index, part.Serial = uint16(n), uint16(i+1), f.Serial+uint16(i)
		part.Body = f.Body[i*MaxBody : min((i+1)*MaxBody, len(f.Body))]
		all = append(all, part)
	}
	return all
}

func checksum(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

func unescape(b []byte) ([]byte, error) {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, escape)
		if i < 0 {
			return append(out, b...), nil
		}
		out = append(out, b[:i]...)
		if i+1 >= len(b) || b[i+1] != 1 && b[i+1] != 2 {
			return nil, fmt.Errorf("%w: bad escape", ErrFrame)
		}
		out = append(out, escape+b[i+1]-1)
		b = b[i+2:]
	}
	return out, nil
}

func fromBCD(b []byte) (string, error) {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		if c>>4 > 9 || c&15 > 9 {
			return "", fmt.Errorf("%w: %x is not BCD", ErrFrame, b)
		}
		out = append(out, '0'+c>>4, '0'+c&15)
	}
	return string(out), nil
}

// appendBCD appends the digits of s, filled to n bytes with zeros on the left.
func appendBCD(dst []byte, s string, n int) ([]byte, error) {
	if len(s) > 2*n || strings.Trim(s, "0123456789") != "" {
		return dst, fmt.Errorf("%w: %q does not fit %d digits", ErrValue, s, 2*n)
	}
	s = strings.Repeat("0", 2*n-len(s)) + s
	for i := 0; i < len(s); i += 2 {
		dst = append(dst, (s[i]-'0')<<4|(s[i+1]-'0'))
	}
	return dst, nil
}
