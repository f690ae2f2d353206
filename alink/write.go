// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"strconv"
	"unicode/utf8"
)

// DefaultVersion is the version of a message that does not say one.
const DefaultVersion = "1.0"

// Reply is the answer to a request.
//
// ID, Version and Method go out byte for byte: they are taken from the request
// as Message shows them. Handlers leave them empty; whoever runs the handler
// fills them in with For.
type Reply struct {
	None    bool   // do not answer at all
	ID      string // always written as a JSON string
	Code    Code
	Message string // plain text; Code's own words when empty
	Method  string
	Version string // DefaultVersion when empty
	Data    []byte // JSON, written as it is; {} when empty
}

// OK returns the reply of a success with data, JSON or nil.
func OK(data []byte) Reply { return Reply{Code: CodeOK, Data: data} }

// For returns r with what it lacks of ID, Version and Method taken from the
// request it answers.
func (r Reply) For(m *Message) Reply {
	if r.ID == "" {
		r.ID = m.ID
	}
	if r.Version == "" {
		r.Version = m.Version
	}
	if r.Method == "" {
		r.Method = m.Method
	}
	return r
}

// AppendReply appends r as compact JSON in the order id, code, message, version,
// method, data, which even a device that scans text for keys can read; nothing is
// escaped that need not be (wire facts, section 1 rows 5, 6 and 44). A zero Code
// is CodeOK. None is not looked at.
func AppendReply(dst []byte, r *Reply) []byte {
	code := r.Code
	if code == 0 {
		code = CodeOK
	}
	dst = appendEcho(append(dst, `{"id":`...), r.ID)
	dst = strconv.AppendInt(append(dst, `,"code":`...), int64(code), 10)
	dst = append(dst, `,"message":`...)
	if r.Message == "" {
		dst = appendString(dst, code.String())
	} else {
		dst = appendString(dst, r.Message)
	}
	dst = appendVersion(dst, r.Version)
	dst = appendEcho(append(dst, `,"method":`...), r.Method)
	return appendLast(dst, `,"data":`, r.Data)
}

// Call is a request on its way out.
type Call struct {
	ID      string
	Version string // DefaultVersion when empty
	Method  string
	Params  []byte // JSON, written as it is; {} when empty
	NoAck   bool   // ask the other end not to answer
}

// AppendCall appends c as compact JSON in the order id, version, sys, method,
// params. sys is written only to ask for no answer.
func AppendCall(dst []byte, c *Call) []byte {
	dst = appendEcho(append(dst, `{"id":`...), c.ID)
	dst = appendVersion(dst, c.Version)
	if c.NoAck {
		dst = append(dst, `,"sys":{"ack":0}`...)
	}
	dst = appendEcho(append(dst, `,"method":`...), c.Method)
	return appendLast(dst, `,"params":`, c.Params)
}

func appendVersion(dst []byte, v string) []byte {
	if v == "" {
		v = DefaultVersion
	}
	return appendEcho(append(dst, `,"version":`...), v)
}

// appendLast closes a message with the member that may hold anything.
func appendLast(dst []byte, key string, raw []byte) []byte {
	dst = append(dst, key...)
	if len(raw) == 0 {
		dst = append(dst, "{}"...)
	} else {
		dst = append(dst, raw...)
	}
	return append(dst, '}')
}

// appendEcho writes text that is the inside of a JSON string as it is, and
// escapes it if it is not.
func appendEcho(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '"' || c < ' ' {
			return appendString(dst, s)
		}
		if c == '\\' {
			n := escapeLen([]byte(s[i:min(len(s), i+6)]))
			if n == 0 {
				return appendString(dst, s)
			}
			i += n - 1
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// appendString writes plain text as a JSON string. Only what must be is escaped;
// bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c == '\n':
			dst = append(dst, '\\', 'n')
			i++
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return append(dst, '"')
}
