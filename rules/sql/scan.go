// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"bytes"

	"github.com/openalink/iot/alink"
	"github.com/tidwall/gjson"
)

// frame is what one evaluation works on: the message and what was read of its
// payload. Between evaluations it is kept for its memory.
type frame struct {
	m    *Message
	tree *tree
	raw  [][]byte // by node: the value; nil while not found
	left int      // leaves not found yet
	args []Value  // stack of arguments
}

// load reads what the tree asks for. It does not check the payload: it stops as
// soon as everything is found. See valid.
func (f *frame) load(m *Message, t *tree) {
	f.m, f.tree = m, t
	f.args = f.args[:0]
	if cap(f.raw) < len(t.nodes) {
		f.raw = make([][]byte, len(t.nodes))
	}
	f.raw = f.raw[:len(t.nodes)]
	clear(f.raw)
	f.left = t.leaves
	if f.left > 0 {
		f.value(m.Payload, spaces(m.Payload, 0), 0)
	}
}

// valid reports whether the payload is JSON.
func (f *frame) valid() bool { return alink.Valid(f.m.Payload) }

// forget takes everything that was read for not there.
func (f *frame) forget() { clear(f.raw) }

// value reads the value at b[i:] for node at, and returns the index behind it, or
// -1 when nothing more is wanted or the text ends.
func (f *frame) value(b []byte, i int, at int32) int {
	n := &f.tree.nodes[at]
	var end int
	if i < len(b) && len(n.kids) > 0 {
		switch b[i] {
		case '{':
			end = f.object(b, i+1, n)
		case '[':
			end = f.array(b, i+1, n)
		default:
			end = skipValue(b, i)
		}
		if n.leaf {
			end = skipValue(b, i) // kids may have stopped early
		}
	} else {
		end = skipValue(b, i)
	}
	if n.leaf && end >= 0 {
		f.left--
		f.raw[at] = b[i:end]
	} else if end >= 0 || i < len(b) {
		f.raw[at] = b[min(i, len(b)):i] // not nil: a second one of the name does not count
	}
	if f.left == 0 {
		return -1
	}
	return end
}

// object reads the members from b[i:] on.
func (f *frame) object(b []byte, i int, n *node) int {
	for {
		i = spaces(b, i)
		if i >= len(b) {
			return -1
		}
		switch b[i] {
		case '}':
			return i + 1
		case ',':
			i++
			continue
		case '"':
		default:
			return -1
		}
		end := skipText(b, i)
		if end < 0 {
			return -1
		}
		key := b[i+1 : end-1]
		i = spaces(b, end)
		if i >= len(b) || b[i] != ':' {
			return -1
		}
		i = spaces(b, i+1)
		if i = f.kid(b, i, f.tree.member(n, plain(key))); i < 0 {
			return -1
		}
	}
}

// plain is a key without escapes.
func plain(key []byte) []byte {
	if bytes.IndexByte(key, '\\') < 0 {
		return key
	}
	quoted := make([]byte, 0, len(key)+2)
	quoted = append(append(append(quoted, '"'), key...), '"')
	return []byte(gjson.ParseBytes(quoted).String())
}

func (f *frame) array(b []byte, i int, n *node) int {
	for index := 0; ; index++ {
		i = spaces(b, i)
		if i >= len(b) {
			return -1
		}
		if b[i] == ']' {
			return i + 1
		}
		if i = f.kid(b, i, f.tree.element(n, index)); i < 0 {
			return -1
		}
		if i = spaces(b, i); i < len(b) && b[i] == ',' {
			i++
		}
	}
}

// kid reads the value at i for a node, or skips it when there is none or the
// member came before.
func (f *frame) kid(b []byte, i int, k int32) int {
	if k < 0 || f.raw[k] != nil {
		return skipValue(b, i)
	}
	return f.value(b, i, k)
}

func spaces(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' {
		i++
	}
	return i
}

// skipValue returns the index behind the value at b[i:], -1 if the text ends
// first.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipText(b, i)
	case '{', '[':
		return skipNested(b, i)
	case '}', ']', ',', ':':
		return -1
	}
	for i++; i < len(b); i++ {
		if c := b[i]; c <= ',' && (c == ',' || c <= ' ') || c == '}' || c == ']' {
			break
		}
	}
	return i
}

// skipText returns the index behind the string at b[i:].
func skipText(b []byte, i int) int {
	i++
	for {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		if slashes(b, i-2)&1 == 0 {
			return i
		}
	}
}

// slashes counts the backslashes that end at i.
func slashes(b []byte, i int) int {
	n := 0
	for i-n >= 0 && b[i-n] == '\\' {
		n++
	}
	return n
}

func skipNested(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipText(b, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}
