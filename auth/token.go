// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	iot "github.com/openalink/iot"
)

// ErrTokenExpired means a token that was good until its time came.
var ErrTokenExpired = errors.New("auth: token is expired")

// Use is what a token is good for; one is not taken for another.
type Use byte

// The uses of tokens.
const (
	UseRequests Use = 'r' // HTTP and CoAP requests (wire facts sections 6 and 7)
	UseConnect  Use = 'c' // MQTT after HTTPS pre-authentication (section 4.1)
)

// Claims are what a token says. Who checks one compares Version and Epoch with
// the device's own.
type Claims struct {
	Device  iot.DeviceID
	Use     Use
	Version uint32 // of the DeviceSecret it was given for
	Epoch   uint32 // rises when all tokens of the device are revoked
	Expires time.Time
}

// TokenKey is a key that signs tokens. ID tells keys apart and is part of the
// tokens.
type TokenKey struct {
	ID     uint16
	Secret Secret
}

// TokenKeys signs tokens with its first key and checks those of all keys, so
// that changing keys logs nobody out: put the new one in front and drop the old
// one when its last token is expired.
type TokenKeys []TokenKey

const (
	tokenFormat = 1
	tokenHead   = 1 + 2 + 1 + 8 + 4 + 4 // format, key, use, expiry, version, epoch
	tokenSum    = 16
)

// Issue makes a token: at most 110 characters of URL-safe base64 for the longest
// names, so that it fits the small buffers of devices (wire facts section 1 row
// 28). Without a key the token is empty.
func (k TokenKeys) Issue(c Claims) Secret {
	if len(k) == 0 {
		return Secret{}
	}
	b := make([]byte, 0, tokenHead+64+tokenSum)
	b = append(b, tokenFormat)
	b = binary.BigEndian.AppendUint16(b, k[0].ID)
	b = append(b, byte(c.Use))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Expires.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, c.Version)
	b = binary.BigEndian.AppendUint32(b, c.Epoch)
	b = c.Device.Append(b)
	sum := k[0].sum(b)
	b = append(b, sum[:]...)
	return NewSecret(base64.RawURLEncoding.EncodeToString(b))
}

func (k TokenKey) sum(b []byte) [tokenSum]byte {
	var h keyed
	h.init(HMACSHA256, k.Secret.Reveal())
	var buf [blockSize + stackText]byte
	var sum [maxSize]byte
	h.sum(&sum, append(h.begin(&buf), b...))
	return [tokenSum]byte(sum[:])
}

// maxToken bounds what is decoded.
const maxToken = 512

// Check reads a token. The error is ErrBadSign for one that none of the keys
// signed, ErrTokenExpired for one past its time; the claims are returned with the
// latter too. Whether the device still stands behind them is the caller's to see.
func (k TokenKeys) Check(token []byte, now time.Time) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, ErrBadSign
	}
	b := make([]byte, base64.RawURLEncoding.DecodedLen(len(token)))
	n, err := base64.RawURLEncoding.Decode(b, token)
	if b = b[:n]; err != nil || len(b) < tokenHead+tokenSum || b[0] != tokenFormat {
		return Claims{}, ErrBadSign
	}
	body, sum := b[:len(b)-tokenSum], b[len(b)-tokenSum:]
	for _, key := range k {
		if key.ID != binary.BigEndian.Uint16(body[1:]) || key.Secret.IsZero() {
			continue
		}
		if want := key.sum(body); hmac.Equal(want[:], sum) {
			return readClaims(body, now)
		}
	}
	return Claims{}, ErrBadSign
}

func readClaims(b []byte, now time.Time) (Claims, error) {
	pk, dn, _ := strings.Cut(string(b[tokenHead:]), "/")
	c := Claims{
		Device: iot.DeviceID{Product: pk, Name: dn}, Use: Use(b[3]), Expires: time.UnixMilli(int64(binary.BigEndian.Uint64(b[4:]))),
		Version: binary.BigEndian.Uint32(b[12:]), Epoch: binary.BigEndian.Uint32(b[16:]),
	}
	if !now.Before(c.Expires) {
		return c, ErrTokenExpired
	}
	return c, nil
}
