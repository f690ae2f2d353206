// SPDX-License-Identifier: Apache-2.0

package gb26875

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The errors of the codec.
var (
	// ErrFrame means bytes that are no frame.
	ErrFrame = errors.New("gb26875: no frame")
	// ErrChecksum means a frame whose checksum is wrong.
	ErrChecksum = errors.New("gb26875: wrong checksum")
	// ErrBody means application data that does not fit its type.
	ErrBody = errors.New("gb26875: bad data")
	// ErrValue means a value a frame cannot carry.
	ErrValue = errors.New("gb26875: value cannot be sent")
)

// MaxData is the longest application data (clause 6.5.2).
const MaxData = 1024

const (
	headSize = 27           // with "@@"
	minFrame = headSize + 3 // with checksum and "##"
)

// Command says what a frame is for (table 2).
type Command uint8

// The commands.
const (
	Control Command = 1
	Data    Command = 2
	Confirm Command = 3
	Ask     Command = 4
	Reply   Command = 5
	Deny    Command = 6
)

// Address is that of a transmitter or centre.
type Address uint64

// MaxAddress is the highest: six bytes.
const MaxAddress Address = 1<<48 - 1

// String returns twelve hexadecimal digits.
func (a Address) String() string { return fmt.Sprintf("%012x", uint64(a)) }

// ParseAddress reads what String writes.
func ParseAddress(s string) (Address, error) {
	n, err := strconv.ParseUint(s, 16, 48)
	if err != nil || len(s) != 12 {
		return 0, fmt.Errorf("%w: address %q", ErrValue, s)
	}
	return Address(n), nil
}

// Frame is one frame (clause 6.5.2).
type Frame struct {
	Serial   uint16
	Version  [2]uint8 // of the protocol, and the maker's
	Time     time.Time
	From, To Address
	Command  Command
	Type     Type
	Count    uint8  // objects
	Objects  []byte // their bytes; nil without application data
}

// Decode reads a frame from its first to its last byte. Objects is the frame's
// own.
func Decode(b []byte) (Frame, error) {
	var f Frame
	if len(b) < minFrame || b[0] != '@' || b[1] != '@' || b[len(b)-1] != '#' || b[len(b)-2] != '#' {
		return f, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	if n := int(binary.LittleEndian.Uint16(b[24:])); n > MaxData || minFrame+n != len(b) {
		return f, fmt.Errorf("%w: %d bytes of data in %d", ErrFrame, n, len(b))
	}
	if sum := checksum(b[2 : len(b)-3]); sum != b[len(b)-3] {
		return f, fmt.Errorf("%w: %#02x, not %#02x", ErrChecksum, sum, b[len(b)-3])
	}
	var err error
	if f.Time, err = parseTime(b[6:12]); err != nil {
		return f, err
	}
	f.Serial, f.Version = binary.LittleEndian.Uint16(b[2:]), [2]uint8{b[4], b[5]}
	f.From, f.To, f.Command = address(b[12:]), address(b[18:]), Command(b[26])
	switch data := b[headSize : len(b)-3]; len(data) {
	case 0:
	case 1:
		return f, fmt.Errorf("%w: one byte of data", ErrFrame)
	default:
		f.Type, f.Count = Type(data[0]), data[1]
		f.Objects = append([]byte{}, data[2:]...)
	}
	return f, nil
}

// Append appends the frame. It fails with ErrValue when something does not fit.
func (f *Frame) Append(dst []byte) ([]byte, error) {
	n := 0
	if f.Objects != nil {
		n = 2 + len(f.Objects)
	}
	if n > MaxData || f.From > MaxAddress || f.To > MaxAddress {
		return dst, fmt.Errorf("%w: %d bytes from %v to %v", ErrValue, n, f.From, f.To)
	}
	start := len(dst)
	dst = append(dst, '@', '@')
	dst = binary.LittleEndian.AppendUint16(dst, f.Serial)
	dst = append(dst, f.Version[:]...)
	dst, err := appendTime(dst, f.Time)
	if err != nil {
		return dst[:start], err
	}
	dst = appendAddress(appendAddress(dst, f.From), f.To)
	dst = append(binary.LittleEndian.AppendUint16(dst, uint16(n)), byte(f.Command))
	if n > 0 {
		dst = append(append(dst, byte(f.Type), f.Count), f.Objects...)
	}
	return append(dst, checksum(dst[start+2:]), '#', '#'), nil
}

func address(b []byte) Address {
	return Address(binary.LittleEndian.Uint32(b)) | Address(binary.LittleEndian.Uint16(b[4:]))<<32
}

func appendAddress(dst []byte, a Address) []byte {
	return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(dst, uint32(a)), uint16(a>>32))
}

func checksum(b []byte) (sum byte) {
	for _, c := range b {
		sum += c
	}
	return sum
}

// zone is that of the standard's clocks, the local time of China.
var zone = time.FixedZone("GMT+8", 8*3600)

// parseTime reads second, minute, hour, day, month and year. All zeros is the zero
// time.
func parseTime(b []byte) (time.Time, error) {
	if bytes.Equal(b[:6], make([]byte, 6)) {
		return time.Time{}, nil
	}
	t := time.Date(2000+int(b[5]), time.Month(b[4]), int(b[3]), int(b[2]), int(b[1]), int(b[0]), 0, zone)
	if b[5] > 99 || t.Month() != time.Month(b[4]) || t.Day() != int(b[3]) || t.Hour() != int(b[2]) || b[1] > 59 || b[0] > 59 {
		return t, fmt.Errorf("%w: time %x", ErrBody, b[:6])
	}
	return t, nil
}

func appendTime(dst []byte, t time.Time) ([]byte, error) {
	if t.IsZero() {
		return append(dst, 0, 0, 0, 0, 0, 0), nil
	}
	t = t.In(zone)
	if t.Year() < 2000 || t.Year() > 2099 {
		return dst, fmt.Errorf("%w: year %d", ErrValue, t.Year())
	}
	return append(dst, byte(t.Second()), byte(t.Minute()), byte(t.Hour()), byte(t.Day()), byte(t.Month()), byte(t.Year()-2000)), nil
}

// Decoder cuts a stream into frames. Bytes that are none, and frames with a wrong
// checksum, are left out: the sender repeats what is not confirmed. It implements
// bridge.Decoder; messages are *Frame.
type Decoder struct {
	// Bad counts frames that were left out.
	Bad int
}

// Decode implements bridge.Decoder.
func (d *Decoder) Decode(buf []byte) (any, int, error) {
	switch at := bytes.Index(buf, []byte("@@")); {
	case at > 0:
		return nil, at, nil
	case at < 0 && buf[len(buf)-1] == '@':
		return nil, len(buf) - 1, nil // may be half a beginning; 0 waits
	case at < 0:
		return nil, len(buf), nil
	}
	if len(buf) < headSize {
		return nil, 0, nil
	}
	n := minFrame + int(binary.LittleEndian.Uint16(buf[24:]))
	if n > minFrame+MaxData {
		d.Bad++
		return nil, 1, nil // no beginning, after all
	}
	if len(buf) < n {
		return nil, 0, nil
	}
	f, err := Decode(buf[:n])
	if err != nil {
		d.Bad++
		return nil, 1, nil
	}
	return &f, n, nil
}

// Encoder writes frames. It implements bridge.Encoder for *Frame.
type Encoder struct{}

// Append implements bridge.Encoder.
func (Encoder) Append(dst []byte, m any) ([]byte, error) {
	f, ok := m.(*Frame)
	if !ok {
		return dst, fmt.Errorf("%w: %T", ErrValue, m)
	}
	return f.Append(dst)
}
