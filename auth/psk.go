// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
)

// PSKIdentity returns the identity a device shows in a TLS or DTLS handshake
// with a pre-shared key (wire facts, section 5.3).
func PSKIdentity(id iot.DeviceID, timestamp string) PSK {
	return PSK("devicename|hmacsha256|" + id.Product + "&" + id.Name + "|" + timestamp)
}

// Parse reads the identity. The names are parts of it. The error wraps
// ErrBadClientID.
func (p PSK) Parse() (id iot.DeviceID, timestamp string, err error) {
	kind, rest, _ := strings.Cut(string(p), "|")
	method, rest, _ := strings.Cut(rest, "|")
	who, timestamp, ok := strings.Cut(rest, "|")
	pk, dn, named := strings.Cut(who, "&")
	if !ok || !named || kind != "devicename" || !strings.EqualFold(method, "hmacsha256") {
		return iot.DeviceID{}, "", fmt.Errorf("%w: not a PSK identity: %.64q", ErrBadClientID, string(p))
	}
	id = iot.DeviceID{Product: pk, Name: dn}
	if err := id.Validate(); err != nil {
		return iot.DeviceID{}, "", fmt.Errorf("%w: %w", ErrBadClientID, err)
	}
	return id, timestamp, nil
}

// PSKKey returns the pre-shared key of a device: the 64 characters of the
// signature in upper-case hex, not the 32 bytes they stand for (wire facts,
// section 1 row 34).
func PSKKey(id iot.DeviceID, secret Secret, timestamp string) []byte {
	return []byte(strings.ToUpper(Sum(HMACSHA256, secret, "id", id.Product, "&", id.Name, "timestamp", timestamp)))
}
