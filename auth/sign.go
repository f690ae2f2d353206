// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"slices"
	"strings"
)

// Param is one parameter of a signed list.
type Param struct{ Key, Value string }

// Sign signs parameters the way registration, topology, sub-device, HTTP and
// CoAP logins do: sorted by key, keys and values one after the other without
// anything between them. Only what is to be signed is passed: sign and
// signMethod never are. The result is lower-case hex, which every checker takes
// (wire facts, section 1 row 15). The zero Method is HMACSHA256.
func Sign(m Method, secret Secret, params ...Param) string {
	var buf [2 * stackParams]string
	return Sum(m, secret, content(buf[:0], params)...)
}

// VerifySign checks a signature of Sign, in hex of either case. The zero Method
// is HMACMD5. The error is ErrBadSign or ErrBadMethod.
func VerifySign(m Method, secret Secret, sign string, params ...Param) error {
	var buf [2 * stackParams]string
	return Verify(m, secret, []byte(sign), content(buf[:0], params)...)
}

// VerifyLogin checks the signature of a sub-device's combine/login. One document
// signs cleanSession, the SDKs do not; either is taken: over all params, or over
// all but cleanSession (wire facts, section 1 row 10).
func VerifyLogin(m Method, secret Secret, sign string, params ...Param) error {
	err := VerifySign(m, secret, sign, params...)
	if err == nil {
		return nil
	}
	rest := make([]Param, 0, len(params))
	for _, p := range params {
		if !strings.EqualFold(p.Key, "cleanSession") {
			rest = append(rest, p)
		}
	}
	if len(rest) == len(params) {
		return err
	}
	return VerifySign(m, secret, sign, rest...)
}

const stackParams = 8

// content appends the sorted keys and values to dst.
func content(dst []string, params []Param) []string {
	var buf [stackParams]Param
	sorted := append(buf[:0], params...)
	slices.SortStableFunc(sorted, func(a, b Param) int { return strings.Compare(a.Key, b.Key) })
	for _, p := range sorted {
		dst = append(dst, p.Key, p.Value)
	}
	return dst
}
