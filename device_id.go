// SPDX-License-Identifier: Apache-2.0

package iot

import (
	"errors"
	"fmt"
	"strings"
)

// MaxNameLen is the longest ProductKey or DeviceName a DeviceID accepts, in
// bytes. Products made by the platform are held to the tighter profile of
// CheckProductKey and CheckDeviceName; foreign dialects bring longer names.
const MaxNameLen = 256

// ErrBadName is wrapped by every error about a ProductKey or DeviceName that
// breaks the rules.
var ErrBadName = errors.New("iot: bad name")

// DeviceID names a device: the ProductKey of its product and its DeviceName,
// unique within the product. It is comparable and serves as a map key. The
// zero value names nothing.
type DeviceID struct {
	Product string // ProductKey
	Name    string // DeviceName
}

// ParseDeviceID reads the text form "productKey/deviceName". The error wraps
// ErrBadName and says which part is wrong.
func ParseDeviceID(s string) (DeviceID, error) {
	pk, dn, ok := strings.Cut(s, "/")
	if !ok {
		return DeviceID{}, fmt.Errorf("%w: %q has no slash between ProductKey and DeviceName", ErrBadName, s)
	}
	id := DeviceID{Product: pk, Name: dn}
	return id, id.Validate()
}

// String returns the text form "productKey/deviceName", nothing for the zero id.
func (id DeviceID) String() string {
	if id.IsZero() {
		return ""
	}
	return id.Product + "/" + id.Name
}

// IsZero reports whether id names nothing.
func (id DeviceID) IsZero() bool { return id == DeviceID{} }

// Append appends the text form to dst and returns the extended slice.
func (id DeviceID) Append(dst []byte) []byte {
	dst = append(dst, id.Product...)
	dst = append(dst, '/')
	return append(dst, id.Name...)
}

// Validate checks that both parts can stand in a topic: 1 to 256 bytes without
// '/', '+', '#' and NUL. The error wraps ErrBadName.
func (id DeviceID) Validate() error {
	if err := checkPart("ProductKey", id.Product); err != nil {
		return err
	}
	return checkPart("DeviceName", id.Name)
}

// MarshalText implements encoding.TextMarshaler with the text form.
func (id DeviceID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the zero id.
// The error wraps ErrBadName.
func (id *DeviceID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = DeviceID{}
		return nil
	}
	parsed, err := ParseDeviceID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

func checkPart(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: %s is empty", ErrBadName, what)
	case len(s) > MaxNameLen:
		return fmt.Errorf("%w: %s has %d bytes, at most %d are allowed", ErrBadName, what, len(s), MaxNameLen)
	}
	if i := strings.IndexAny(s, "/+#\x00"); i >= 0 {
		return fmt.Errorf("%w: %s %.64q has %q at byte %d", ErrBadName, what, s, s[i], i)
	}
	return nil
}

// CheckProductKey holds a ProductKey to the product profile: 1 to 20 letters
// and digits (the buffer of the C SDK has room for 20). The error wraps
// ErrBadName. See the wire facts, section 2.
func CheckProductKey(pk string) error {
	if len(pk) < 1 || len(pk) > 20 {
		return fmt.Errorf("%w: ProductKey %.64q has %d characters, 1 to 20 are allowed", ErrBadName, pk, len(pk))
	}
	return checkLetters("ProductKey", pk, "")
}

// CheckDeviceName holds a DeviceName to the product profile: 4 to 32 letters,
// digits and "-_@.:" (error 6280 on the wire). The error wraps ErrBadName.
func CheckDeviceName(dn string) error {
	if len(dn) < 4 || len(dn) > 32 {
		return fmt.Errorf("%w: DeviceName %.64q has %d characters, 4 to 32 are allowed", ErrBadName, dn, len(dn))
	}
	return checkLetters("DeviceName", dn, "-_@.:")
}

func checkLetters(what, s, extra string) error {
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(extra, c) >= 0 {
			continue
		}
		return fmt.Errorf("%w: %s %.64q has %q at byte %d; letters, digits and %q are allowed", ErrBadName, what, s, c, i, extra)
	}
	return nil
}
