// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

const (
	blockSize = 64          // of all three hashes
	maxSize   = sha256.Size // of the longest sum
	stackText = 512         // signed texts up to this length stay on the stack
)

// digest writes the hash of text and returns its length, 0 for an unknown
// method.
func (m Method) digest(out *[maxSize]byte, text []byte) int {
	switch m {
	case HMACMD5:
		sum := md5.Sum(text)
		return copy(out[:], sum[:])
	case HMACSHA1:
		sum := sha1.Sum(text)
		return copy(out[:], sum[:])
	case HMACSHA256:
		*out = sha256.Sum256(text)
		return maxSize
	}
	return 0
}

// mac writes the HMAC (RFC 2104) of the parts, one after the other, and returns
// its length. crypto/hmac needs five allocations for that, a login none.
func (m Method) mac(out *[maxSize]byte, key string, parts []string) int {
	var pad [blockSize]byte
	if len(key) <= blockSize {
		copy(pad[:], key)
	} else {
		n := m.digest(out, []byte(key))
		copy(pad[:], out[:n])
	}
	var buf [blockSize + stackText]byte
	subtle.XORBytes(buf[:], pad[:], innerPad[:])
	text := buf[:blockSize]
	for _, p := range parts {
		text = append(text, p...)
	}
	n := m.digest(out, text)
	subtle.XORBytes(buf[:], pad[:], outerPad[:])
	return m.digest(out, append(buf[:blockSize], out[:n]...))
}

// The pads of RFC 2104 section 2.
var innerPad, outerPad = padOf(0x36), padOf(0x5c)

func padOf(b byte) (pad [blockSize]byte) {
	for i := range pad {
		pad[i] = b
	}
	return pad
}

// Verify checks a signature in hex, of either case, over the parts of the
// content one after the other. It takes the same time wherever a wrong one
// differs, and allocates nothing for contents up to 512 bytes. Nothing verifies
// against an empty secret, which anybody could sign with. The zero Method is
// HMACMD5. The error is ErrBadSign; for an unknown method it is ErrBadMethod.
func Verify(m Method, secret Secret, sign []byte, content ...string) error {
	m = m.or(HMACMD5)
	switch {
	case m > HMACSHA256:
		return ErrBadMethod
	case secret.IsZero():
		return ErrBadSign
	}
	var want, got [maxSize]byte
	n := m.mac(&want, secret.Reveal(), content)
	if len(sign) != 2*n {
		return ErrBadSign
	}
	if _, err := hex.Decode(got[:], sign); err != nil {
		return ErrBadSign
	}
	if subtle.ConstantTimeCompare(got[:n], want[:n]) != 1 {
		return ErrBadSign
	}
	return nil
}

// Sum returns the signature over the parts of the content one after the other,
// in lower-case hex. The zero Method is HMACSHA256; an unknown one gives the
// empty text.
func Sum(m Method, secret Secret, content ...string) string {
	var sum [maxSize]byte
	n := m.or(HMACSHA256).mac(&sum, secret.Reveal(), content)
	return hex.EncodeToString(sum[:n])
}
