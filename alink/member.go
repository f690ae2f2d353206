// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"bytes"
	"math"
	"unsafe"
)

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
