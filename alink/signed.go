// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// Signed is a list of parameters with a signature, as topology, sub-device login
// and registration messages carry them (wire facts, section 12).
type Signed struct {
	// Params are all parameters but sign and signMethod, in the order they came.
	// Their values are the text of strings, numbers and words: a number is signed
	// by its digits. Client ids keep their bars, which are signed too.
	Params []auth.Param
	Sign   string
	// Method is zero when the list does not say one. Batches say it once for all
	// their entries; who reads one sets it here.
	Method auth.Method
}

// ParseSigned reads a JSON object. Parameters that are objects, arrays or null
// are left out. Keys have no case where they are looked for, since SDKs differ
// (wire facts, section 1 rows 11 and 12). Nothing of raw is kept.
//
// The error wraps ErrMalformed when raw is not an object or has more than
// MaxMembers members, and auth.ErrBadMethod for an unknown sign method.
func ParseSigned(raw []byte) (Signed, error) {
	var s Signed
	method := ""
	w := walker{b: raw, i: space(raw, 0)}
	for n := 0; w.next(); n++ {
		key, at := unescape(w.key), w.start
		value := w.value(MaxDepth - 1)
		if w.fault != sound {
			break
		}
		if n == MaxMembers {
			return Signed{}, malformed(tooManyMembers, at)
		}
		text, ok := plainText(value)
		switch {
		case !ok:
		case strings.EqualFold(key, "sign"):
			s.Sign = text
		case strings.EqualFold(key, "signMethod"):
			method = text
		default:
			s.Params = append(s.Params, auth.Param{Key: key, Value: text})
		}
	}
	if w.fault != sound {
		return Signed{}, malformed(w.fault, w.i)
	}
	if method == "" {
		return s, nil
	}
	var err error
	s.Method, err = auth.ParseMethod(method)
	return s, err
}

// plainText returns the text of a string, a number, true or false.
func plainText(value []byte) (string, bool) {
	switch value[0] {
	case '"':
		return unescape(value[1 : len(value)-1]), true
	case '{', '[', 'n':
		return "", false
	}
	return string(value), true
}

// Get returns the value of a parameter, nothing when it is absent. Keys have no
// case.
func (s *Signed) Get(key string) string {
	for _, p := range s.Params {
		if strings.EqualFold(p.Key, key) {
			return p.Value
		}
	}
	return ""
}

// Device returns whom the parameters productKey and deviceName name.
func (s *Signed) Device() iot.DeviceID {
	return iot.DeviceID{Product: s.Get("productKey"), Name: s.Get("deviceName")}
}

// Verify checks the signature over all parameters, or over all but cleanSession
// (wire facts, section 1 row 10). The secret is the device's, for registration
// the product's. The error is auth.ErrBadSign.
func (s *Signed) Verify(secret auth.Secret) error {
	return auth.VerifyLogin(s.Method, secret, s.Sign, s.Params...)
}
