// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/openalink/iot/bridge"
)

// Parameter is one setting of a terminal (clause 8.12).
type Parameter struct {
	ID    uint32
	Value []byte
}

// Uint returns the value of a parameter with 1, 2 or 4 bytes.
func (p Parameter) Uint() (n uint32, ok bool) {
	switch len(p.Value) {
	case 1, 2, 4:
		for _, b := range p.Value {
			n = n<<8 | uint32(b)
		}
		return n, true
	}
	return 0, false
}

// NewParameter makes a parameter of a text or a whole number, as encoding/json reads
// them: a text is GBK, and a number has the size of table 12, four bytes for ids that
// are not there. It fails with ErrValue for anything else, and for numbers that do not
// fit.
func NewParameter(id uint32, value any) (Parameter, error) {
	p := Parameter{ID: id}
	if s, ok := value.(string); ok {
		var err error
		p.Value, err = toGBK(s)
		return p, err
	}
	f, ok := bridge.Number(value)
	size := parameterSize(id)
	n := uint64(max(f, 0))
	if !ok || !(f >= 0) || float64(n) != f || n >= 1<<(8*size) {
		return p, fmt.Errorf("%w: %v in %d bytes", ErrValue, value, size)
	}
	for i := size - 1; i >= 0; i-- {
		p.Value = append(p.Value, byte(n>>(8*i)))
	}
	return p, nil
}

// isText reports whether a parameter is a text (table 12).
func isText(id uint32) bool {
	switch {
	case id >= 0x10 && id <= 0x17, id >= 0x23 && id <= 0x26, id >= 0x40 && id <= 0x44:
		return true
	}
	return id == 0x1a || id == 0x1d || id == 0x48 || id == 0x49 || id == 0x83
}

// plain returns the value as encoding/json may write it: a text, a whole number, or
// hexadecimal digits of anything else.
func (p Parameter) plain() any {
	if isText(p.ID) {
		return fromGBK(p.Value)
	}
	if n, ok := p.Uint(); ok {
		return n
	}
	return hex.EncodeToString(p.Value)
}

// parameterSize is how many bytes a number has (table 12).
func parameterSize(id uint32) int {
	switch id {
	case 0x31, 0x5b, 0x5c, 0x5d, 0x5e, 0x81, 0x82, 0x101, 0x103:
		return 2
	case 0x84, 0x90, 0x91, 0x92, 0x94:
		return 1
	}
	return 4
}

// ParseParameters reads the body of SetParameters.
func ParseParameters(b []byte) ([]Parameter, error) {
	if len(b) < 1 {
		return nil, short("parameters", b)
	}
	n := int(b[0])
	b = b[1:]
	var all []Parameter
	for range n {
		if len(b) < 5 || len(b) < 5+int(b[4]) {
			return nil, short("parameters", b)
		}
		end := 5 + int(b[4])
		all = append(all, Parameter{binary.BigEndian.Uint32(b), append([]byte(nil), b[5:end]...)})
		b = b[end:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the parameters", ErrBody, len(b))
	}
	return all, nil
}

// AppendParameters appends the body of SetParameters. It fails with ErrValue for
// more than 255 parameters or bytes in one.
func AppendParameters(dst []byte, all []Parameter) ([]byte, error) {
	if len(all) > 255 {
		return dst, fmt.Errorf("%w: %d parameters", ErrValue, len(all))
	}
	dst = append(dst, byte(len(all)))
	for _, p := range all {
		if len(p.Value) > 255 {
			return dst, fmt.Errorf("%w: parameter of %d bytes", ErrValue, len(p.Value))
		}
		dst = append(binary.BigEndian.AppendUint32(dst, p.ID), byte(len(p.Value)))
		dst = append(dst, p.Value...)
	}
	return dst, nil
}

// ParseParametersReply reads the body of ParametersReply: the serial of the
// question, and the parameters.
func ParseParametersReply(b []byte) (serial uint16, all []Parameter, err error) {
	if len(b) < 3 {
		return 0, nil, short("parameters", b)
	}
	all, err = ParseParameters(b[2:])
	return binary.BigEndian.Uint16(b), all, err
}
