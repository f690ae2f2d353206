// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"bytes"
	"math"
	"unsafe"
)

// MaxMembers is how many members the top level of a message may have. Real ones
// have at most eight.
const MaxMembers = 32

// Message is a parsed request or reply. All its strings and slices are parts of
// the payload.
//
// ID, Version, Method and Text are as they stood between their quotes, escapes
// included, so that they can be written back byte for byte; a number stands for
// its text, null for the empty text. ID is opaque: not always digits, not always
// unique, empty when the sender left it out (wire facts, section 1 row 6).
type Message struct {
	ID      string
	Version string
	Method  string // often missing or misleading; the topic decides (row 7)
	Params  []byte // JSON, nil when absent
	Ack     bool   // whether the sender wants an answer: sys.ack, true when absent
	Code    Code   // of a reply; a number or its text
	HasCode bool   // whether there was a code, which makes it a reply
	Text    string // "message"
	Data    []byte // JSON, nil when absent
}

// Err returns a *CodeError when m is a reply without success, nil for a success
// and for a message without a code.
func (m *Message) Err() error {
	if !m.HasCode || m.Code == CodeOK {
		return nil
	}
	return &CodeError{Code: m.Code, Message: unescape([]byte(m.Text)), Data: m.Data}
}

// Parse reads a payload into m, which it overwrites. It is strict: the payload
// must be one JSON object (RFC 8259) with at most MaxMembers members, no two of
// the same name, and no deeper than MaxDepth; id, version, method and message
// must be text, number or null, code an integer or its text. Unknown members are
// ignored. The UTF-8 of strings is not looked at.
//
// It allocates nothing unless it fails. The error wraps ErrMalformed and says
// what is wrong at which byte; m is then half filled.
func Parse(payload []byte, m *Message) error {
	*m = Message{Ack: true}
	p := parser{m: m}
	if i, f := p.top(payload); f != sound {
		return malformed(f, i)
	}
	return nil
}

// parser looks at the top level of a message.
type parser struct {
	m       *Message
	seen    uint16               // known members, by bit
	n       int                  // members
	others  int                  // unknown members
	unknown [MaxMembers][2]int32 // their keys, as indexes into the payload
}

// The known members.
const (
	memberID = iota
	memberVersion
	memberMethod
	memberParams
	memberSys
	memberCode
	memberMessage
	memberData
	memberOther
)

var memberNames = [...]string{"id", "version", "method", "params", "sys", "code", "message", "data"}

func (p *parser) top(b []byte) (int, fault) {
	w := walker{b: b, i: space(b, 0)}
	for w.next() {
		start := w.start
		which, f := p.member(b, start+1, start+1+len(w.key))
		if f != sound {
			return start, f
		}
		at := w.i
		value := w.value(MaxDepth - 1)
		if w.fault != sound {
			break
		}
		if f := p.set(which, value); f != sound {
			return at, f
		}
	}
	if w.fault != sound {
		return w.i, w.fault
	}
	if i := space(b, w.i); i < len(b) {
		return i, trailingBytes
	}
	return 0, sound
}

// member tells which member the key b[start:end] is, and that it is the first of
// its name.
func (p *parser) member(b []byte, start, end int) (int, fault) {
	if p.n++; p.n > MaxMembers {
		return 0, tooManyMembers
	}
	key := b[start:end]
	which := known(key)
	if which != memberOther {
		if p.seen&(1<<which) != 0 {
			return 0, duplicateKey
		}
		p.seen |= 1 << which
		return which, sound
	}
	for _, k := range p.unknown[:p.others] {
		if sameKey(key, b[k[0]:k[1]]) {
			return 0, duplicateKey
		}
	}
	p.unknown[p.others] = [2]int32{int32(start), int32(end)}
	p.others++
	return memberOther, sound
}

func known(key []byte) int {
	switch string(key) {
	case "id":
		return memberID
	case "version":
		return memberVersion
	case "method":
		return memberMethod
	case "params":
		return memberParams
	case "sys":
		return memberSys
	case "code":
		return memberCode
	case "message":
		return memberMessage
	case "data":
		return memberData
	}
	if bytes.IndexByte(key, '\\') >= 0 {
		for i, name := range memberNames {
			if sameKey(key, []byte(name)) {
				return i
			}
		}
	}
	return memberOther
}

func (p *parser) set(which int, raw []byte) fault {
	m := p.m
	switch which {
	case memberID:
		return text(raw, &m.ID)
	case memberVersion:
		return text(raw, &m.Version)
	case memberMethod:
		return text(raw, &m.Method)
	case memberMessage:
		return text(raw, &m.Text)
	case memberParams:
		m.Params = raw
	case memberData:
		m.Data = raw
	case memberSys:
		m.Ack = wantsAck(raw)
	case memberCode:
		return code(raw, m)
	}
	return sound
}

// text takes a string, a number or null.
func text(raw []byte, s *string) fault {
	switch raw[0] {
	case '"':
		raw = raw[1 : len(raw)-1]
	case 'n':
		return sound
	case '{', '[', 't', 'f':
		return notText
	}
	*s = view(raw)
	return sound
}

// view returns b as a string without copying.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func code(raw []byte, m *Message) fault {
	switch raw[0] {
	case '"':
		raw = raw[1 : len(raw)-1]
	case 'n':
		return sound
	}
	n, ok := integer(raw)
	if !ok || n > math.MaxInt32 || n < math.MinInt32 {
		return notCode
	}
	m.Code, m.HasCode = Code(n), true
	return sound
}

// integer reads decimal digits with an optional minus sign.
func integer(s []byte) (n int64, ok bool) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

// wantsAck looks for "ack" in the member sys, an object or anything else: 0 in any
// form means no.
func wantsAck(sys []byte) bool {
	ack := true
	w := walker{b: sys}
	for w.next() {
		isAck := sameKey(w.key, []byte("ack"))
		value := w.value(MaxDepth - 1)
		if w.fault == sound && isAck {
			switch string(value) {
			case "0", `"0"`, "false":
				ack = false
			default:
				ack = true
			}
		}
	}
	return ack
}
