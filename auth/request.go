// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RequestScheme begins the Authorization header of a signed HTTP request.
const RequestScheme = "IOT-HMAC-SHA256"

// RequestSign is what the Authorization header of a signed request says.
type RequestSign struct {
	AccessKey string
	Timestamp int64  // epoch milliseconds
	Nonce     string // never used before by this AccessKey
	Signature string // lower-case hex
}

// SignRequest signs an HTTP request of a business server with its AccessKey: it
// sets the Authorization header
//
//	IOT-HMAC-SHA256 AccessKey=..., Timestamp=..., Nonce=..., Signature=...
//
// The signature is HMAC-SHA256 over method, path, query, AccessKey, timestamp,
// nonce and the hex SHA-256 of the body, a line each. body is what the request
// will carry, nil for none.
func SignRequest(r *http.Request, body []byte, accessKey string, secret Secret, now time.Time) {
	s := RequestSign{AccessKey: accessKey, Timestamp: now.UnixMilli(), Nonce: rand.Text()}
	s.Signature = s.sum(r, body, secret)
	r.Header.Set("Authorization", fmt.Sprintf("%s AccessKey=%s, Timestamp=%d, Nonce=%s, Signature=%s",
		RequestScheme, s.AccessKey, s.Timestamp, s.Nonce, s.Signature))
}

func (s RequestSign) sum(r *http.Request, body []byte, secret Secret) string {
	digest := sha256.Sum256(body)
	return Sum(HMACSHA256, secret, strings.Join([]string{
		r.Method, r.URL.EscapedPath(), r.URL.RawQuery, s.AccessKey, strconv.FormatInt(s.Timestamp, 10), s.Nonce, hex.EncodeToString(digest[:]),
	}, "\n"))
}

// ParseRequestSign reads the Authorization header of a signed request; ok is
// false for another scheme or a header that lacks something.
func ParseRequestSign(header string) (s RequestSign, ok bool) {
	rest, found := strings.CutPrefix(header, RequestScheme+" ")
	if !found || len(header) > 1024 {
		return s, false
	}
	for field := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch key {
		case "AccessKey":
			s.AccessKey = value
		case "Timestamp":
			s.Timestamp, _ = strconv.ParseInt(value, 10, 64)
		case "Nonce":
			s.Nonce = value
		case "Signature":
			s.Signature = value
		}
	}
	return s, s.AccessKey != "" && s.Timestamp != 0 && s.Nonce != "" && s.Signature != ""
}

// Verify checks the signature of a request. It does not look at Timestamp and
// Nonce: whoever checks must refuse what is old or was seen before. The error is
// ErrBadSign.
func (s RequestSign) Verify(r *http.Request, body []byte, secret Secret) error {
	if secret.IsZero() || !NewSecret(s.sum(r, body, secret)).EqualBytes([]byte(s.Signature)) {
		return ErrBadSign
	}
	return nil
}
