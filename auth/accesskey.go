// SPDX-License-Identifier: Apache-2.0

package auth

import "encoding/base64"

// SignAccessKey makes the password of a business server that reads messages over
// AMQP: base64 of the signature over its AccessKey id and a timestamp (wire
// facts, section 18.2). The zero Method is HMACSHA1, the one the samples use.
func SignAccessKey(m Method, secret Secret, accessKey, timestamp string) string {
	var sum [maxSize]byte
	n := m.or(HMACSHA1).mac(&sum, secret.Reveal(), []string{"authId=", accessKey, "&timestamp=", timestamp})
	return base64.StdEncoding.EncodeToString(sum[:n])
}

// VerifyAccessKey checks a password of SignAccessKey in constant time. The error
// is ErrBadSign or ErrBadMethod; nothing verifies against an empty secret.
func VerifyAccessKey(m Method, secret Secret, password []byte, accessKey, timestamp string) error {
	switch {
	case m > HMACSHA256:
		return ErrBadMethod
	case secret.IsZero(), !NewSecret(SignAccessKey(m, secret, accessKey, timestamp)).EqualBytes(password):
		return ErrBadSign
	}
	return nil
}
