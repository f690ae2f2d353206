// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"errors"
	"slices"
	"strconv"
	"time"
)

// AppendReply writes the answer to a request that was carried out, for
// /shadow/get: the new version for update and delete, the document for get. A
// get's answer has version and timestamp inside and outside of the payload,
// because firmware looks in either place (wire facts section 14).
func (d *Document) AppendReply(dst []byte, r *Request, now time.Time) []byte {
	room := 160 + len(r.Token)
	if r.Method == "get" {
		room += d.room()
	}
	dst = slices.Grow(dst, room)
	dst = append(dst, `{"method":"reply","payload":{"status":"success"`...)
	if r.Method == "get" {
		dst = append(dst, ',')
		dst = d.appendState(dst)
	}
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, d.version, 10)
	if r.Method == "get" {
		dst = append(dst, `,"timestamp":`...)
		dst = strconv.AppendInt(dst, d.time, 10)
		dst = append(dst, `},"version":`...)
		dst = strconv.AppendInt(dst, d.version, 10)
	} else {
		dst = append(dst, '}')
	}
	return appendEnd(dst, r, now)
}

// AppendError writes the answer to a request that was not carried out. r is nil
// when it could not be read. An error that is no *Error becomes 500 without its
// text.
func AppendError(dst []byte, r *Request, err error, now time.Time) []byte {
	code, message := ServerError, "the platform could not do it"
	if e, ok := errors.AsType[*Error](err); ok {
		code, message = e.Code, e.Message
	}
	dst = append(dst, `{"method":"reply","payload":{"status":"error","content":{"errorcode":"`...)
	dst = strconv.AppendInt(dst, int64(code), 10)
	dst = append(dst, `","errormessage":`...)
	dst = strconv.AppendQuote(dst, message) // messages are ASCII of this package
	dst = append(dst, `}}`...)
	return appendEnd(dst, r, now)
}

// AppendControl writes the message that tells a device what is desired.
func (d *Document) AppendControl(dst []byte, now time.Time) []byte {
	dst = slices.Grow(dst, d.room()+160)
	dst = append(dst, `{"method":"control","payload":{"status":"success",`...)
	dst = d.appendState(dst)
	dst = append(dst, `},"version":`...)
	dst = strconv.AppendInt(dst, d.version, 10)
	return appendEnd(dst, nil, now)
}

// appendEnd writes what all messages end with: the token of the request, if it
// had one, and the time.
func appendEnd(dst []byte, r *Request, now time.Time) []byte {
	if r != nil && r.Token != "" {
		dst = append(dst, `,"clientToken":`...)
		dst = append(dst, r.Token...)
	}
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendInt(dst, now.Unix(), 10)
	return append(dst, '}')
}
