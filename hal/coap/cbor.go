// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
)

// The bodies of /auth are flat: a CBOR map (RFC 8949) whose keys are text. This is
// all of CBOR that takes.

// major types of RFC 8949 section 3.1.
const (
	cborUint   = 0
	cborNegInt = 1
	cborText   = 3
	cborMap    = 5
	cborSimple = 7
)

// maxLoginParams bounds the members of a login.
const maxLoginParams = 64

// parseCBOR reads a login like alink.ParseSigned does from JSON. Values are text
// and whole numbers; true, false and null are left out. ok is false for anything
// else, and for bytes behind the map.
func parseCBOR(b []byte) (s alink.Signed, ok bool) {
	r := cborReader{b}
	major, n, ok := r.head()
	if !ok || major != cborMap || n > maxLoginParams {
		return s, false
	}
	method := ""
	for range n {
		key, ok := r.text()
		if !ok {
			return s, false
		}
		value, kept, ok := r.value()
		switch {
		case !ok:
			return s, false
		case !kept:
		case strings.EqualFold(key, "sign"):
			s.Sign = value
		case strings.EqualFold(key, "signMethod"):
			method = value
		default:
			s.Params = append(s.Params, auth.Param{Key: key, Value: value})
		}
	}
	if method == "" || len(r.b) > 0 {
		return s, len(r.b) == 0
	}
	var err error
	s.Method, err = auth.ParseMethod(method)
	return s, err == nil
}

// cborReader takes items off b.
type cborReader struct{ b []byte }

// head takes the head of an item: its major type and its argument. Indefinite
// lengths are not read.
func (r *cborReader) head() (major byte, n uint64, ok bool) {
	if len(r.b) == 0 {
		return 0, 0, false
	}
	major, n = r.b[0]>>5, uint64(r.b[0]&31)
	r.b = r.b[1:]
	if n < 24 {
		return major, n, true
	}
	size := 1 << (n - 24) // 24 to 27: 1, 2, 4 and 8 bytes
	if n > 27 || len(r.b) < size {
		return 0, 0, false
	}
	var full [8]byte
	copy(full[8-size:], r.b[:size])
	r.b = r.b[size:]
	return major, binary.BigEndian.Uint64(full[:]), true
}

// text takes a text string.
func (r *cborReader) text() (string, bool) {
	major, n, ok := r.head()
	if !ok || major != cborText {
		return "", false
	}
	return r.bytes(n)
}

func (r *cborReader) bytes(n uint64) (string, bool) {
	if n > uint64(len(r.b)) {
		return "", false
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s, true
}

// value takes a value as the text that is signed; kept is false for one that is
// not.
func (r *cborReader) value() (text string, kept, ok bool) {
	major, n, ok := r.head()
	switch {
	case !ok:
	case major == cborText:
		text, ok = r.bytes(n)
		return text, true, ok
	case major == cborUint:
		return strconv.FormatUint(n, 10), true, true
	case major == cborNegInt && n < 1<<63:
		return strconv.FormatInt(-1-int64(n), 10), true, true
	case major == cborSimple && n >= 20 && n <= 22:
		return "", false, true
	}
	return "", false, false
}

// appendCBORHead appends the head of an item whose argument is below 2^16.
func appendCBORHead(b []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(b, major<<5|byte(n))
	case n < 1<<8:
		return append(b, major<<5|24, byte(n))
	}
	return append(b, major<<5|25, byte(n>>8), byte(n))
}

func appendCBORText(b []byte, text string) []byte {
	return append(appendCBORHead(b, cborText, len(text)), text...)
}
