// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"encoding/binary"
	"fmt"
)

// The bounds of files over MQTT (wire facts sections 13.2 and 13.3).
const (
	MinBlock     = 256
	MaxBlock     = 128 << 10
	DefaultBlock = 5 << 10
	MaxMQTTFile  = 16 << 20
)

// AppendFrame appends a block of a file as MQTT carries it: the length of the
// header in two bytes, header, data, and the data's CRC-16/ARC, low byte first.
// The header has at most 65535 bytes.
func AppendFrame(dst, header, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(header)))
	dst = append(append(dst, header...), data...)
	return binary.LittleEndian.AppendUint16(dst, CRC16(data))
}

// ParseFrame splits a frame. Without data the checksum is not looked at. The
// parts belong to b. The error wraps ErrMessage, or is
// ErrDigest when the checksum is wrong.
func ParseFrame(b []byte) (header, data []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%w: frame of %d bytes", ErrMessage, len(b))
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n+2 {
		return nil, nil, fmt.Errorf("%w: frame of %d bytes with a header of %d", ErrMessage, len(b), n)
	}
	header, data = b[2:2+n], b[2+n:len(b)-2]
	if got := binary.LittleEndian.Uint16(b[len(b)-2:]); len(data) > 0 && got != CRC16(data) {
		return header, nil, fmt.Errorf("%w: checksum of a block", ErrDigest)
	}
	return header, data, nil
}

// CRC16 is CRC-16/ARC: polynomial 0x8005 reflected, beginning with zero.
func CRC16(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc ^= uint16(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}
