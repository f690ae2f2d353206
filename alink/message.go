// SPDX-License-Identifier: Apache-2.0

package alink

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
