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

// A keyed hash is an HMAC (RFC 2104) in the making: begin, append the content,
// sum. crypto/hmac needs five allocations for that, a login none.
type keyed struct {
	method Method
	key    [blockSize]byte
}

func (k *keyed) init(m Method, key string) {
	k.method = m
	if len(key) <= blockSize {
		copy(k.key[:], key)
		return
	}
	var sum [maxSize]byte
	n := m.digest(&sum, []byte(key))
	copy(k.key[:], sum[:n])
}

// begin returns what the content is appended to, in buf as long as it has room.
func (k *keyed) begin(buf *[blockSize + stackText]byte) []byte {
	subtle.XORBytes(buf[:], k.key[:], innerPad[:])
	return buf[:blockSize]
}

// sum writes the HMAC of what was appended to begin, and returns its length.
func (k *keyed) sum(out *[maxSize]byte, text []byte) int {
	n := k.method.digest(out, text)
	var outer [blockSize + maxSize]byte
	subtle.XORBytes(outer[:], k.key[:], outerPad[:])
	copy(outer[blockSize:], out[:n])
	return k.method.digest(out, outer[:blockSize+n])
}

// mac writes the HMAC of the parts, one after the other, and returns its length.
func (m Method) mac(out *[maxSize]byte, key string, parts []string) int {
	var k keyed
	k.init(m, key)
	var buf [blockSize + stackText]byte
	text := k.begin(&buf)
	for _, p := range parts {
		text = append(text, p...)
	}
	return k.sum(out, text)
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
	var want [maxSize]byte
	n := m.mac(&want, secret.Reveal(), content)
	return compare(sign, want[:n])
}

// compare takes the same time wherever a wrong signature differs.
func compare(sign, want []byte) error {
	var got [maxSize]byte
	if len(sign) != 2*len(want) {
		return ErrBadSign
	}
	if _, err := hex.Decode(got[:], sign); err != nil {
		return ErrBadSign
	}
	if subtle.ConstantTimeCompare(got[:len(want)], want) != 1 {
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
