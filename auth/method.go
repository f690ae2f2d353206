// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"strings"
)

// Method is how a login or a parameter list is signed. The zero Method means
// that nobody chose: who checks takes it for HMACMD5, the wire's default (wire
// facts, section 1 row 13), who signs for HMACSHA256.
type Method uint8

// The sign methods.
const (
	HMACMD5 Method = iota + 1
	HMACSHA1
	HMACSHA256
)

var methodNames = [...]string{"", "hmacmd5", "hmacsha1", "hmacsha256"}

// ParseMethod reads a sign method in any case. Besides the names of String it
// takes "sha256" for HMACSHA256, the misspelt "hmacShal" of one document for
// HMACSHA1, and the empty text, an absent parameter, for HMACMD5. The error wraps
// ErrBadMethod. Wire facts, section 1 row 13.
func ParseMethod(s string) (Method, error) {
	switch {
	case strings.EqualFold(s, "hmacsha256"), strings.EqualFold(s, "sha256"):
		return HMACSHA256, nil
	case strings.EqualFold(s, "hmacsha1"), strings.EqualFold(s, "hmacshal"):
		return HMACSHA1, nil
	case s == "", strings.EqualFold(s, "hmacmd5"):
		return HMACMD5, nil
	}
	return 0, fmt.Errorf("%w: %.32q", ErrBadMethod, s)
}

// String returns the name as it stands in a client id, such as "hmacsha256".
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// or returns m, or d when nobody chose.
func (m Method) or(d Method) Method {
	if m == 0 {
		return d
	}
	return m
}
