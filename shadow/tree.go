// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// node is a value of a section: an object with members, or anything else as the
// JSON it came as. Arrays are such leaves: they are replaced whole.
type node struct {
	name string // as it stands between its quotes in JSON
	raw  string // JSON of a leaf; empty for an object
	kids []node // members of an object, in the order they came
	time int64  // when it was written, epoch seconds
}

func (n *node) object() bool { return n.raw == "" }

// merge writes the members of an object over n's. null, as JSON or as the text
// "null", removes a member (wire facts section 14).
func (n *node) merge(object gjson.Result, now int64) {
	object.ForEach(func(key, value gjson.Result) bool {
		n.put(rawName(key), value, now)
		return true
	})
}

// rawName is the key as it stands between its quotes. Of the ways to escape one
// name the document knows one.
func rawName(key gjson.Result) string {
	if raw := key.Raw[1 : len(key.Raw)-1]; strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return quoted(key.String())
}

// quoted escapes what must not stand between quotes, and nothing else.
func quoted(name string) string {
	out := make([]byte, 0, len(name)+8)
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// prune removes the members an object names with null, and makes none.
func (n *node) prune(object gjson.Result) {
	object.ForEach(func(key, value gjson.Result) bool {
		i := n.find(rawName(key))
		switch {
		case i < 0:
		case isNull(value):
			n.kids = append(n.kids[:i], n.kids[i+1:]...)
		case n.kids[i].object():
			n.kids[i].prune(value)
		}
		return true
	})
}

func isNull(v gjson.Result) bool {
	return v.Type == gjson.Null || v.Type == gjson.String && v.Str == "null"
}

func (n *node) put(name string, value gjson.Result, now int64) {
	i := n.find(name)
	switch {
	case isNull(value):
		if i >= 0 {
			n.kids = append(n.kids[:i], n.kids[i+1:]...)
		}
		return
	case i < 0:
		i = len(n.kids)
		n.kids = append(n.kids, node{name: name})
	}
	kid := &n.kids[i]
	kid.time = now
	if value.IsObject() {
		kid.raw = ""
		kid.merge(value, now)
		return
	}
	kid.raw, kid.kids = value.Raw, nil
}

func (n *node) find(name string) int {
	for i := range n.kids {
		if n.kids[i].name == name {
			return i
		}
	}
	return -1
}

// measure returns the members below n and the levels they take. An array is a
// value of its level; what nests in it goes deeper.
func (n *node) measure() (members, depth int) {
	if len(n.raw) > 0 && n.raw[0] == '[' {
		return 0, nesting(n.raw) - 1
	}
	for i := range n.kids {
		m, d := n.kids[i].measure()
		members += 1 + m
		depth = max(depth, 1+d)
	}
	return members, depth
}

// appendValue writes n as JSON.
func (n *node) appendValue(dst []byte) []byte {
	if !n.object() {
		return append(dst, n.raw...)
	}
	dst = append(dst, '{')
	for i := range n.kids {
		dst = n.kids[i].appendName(dst, i)
		dst = n.kids[i].appendValue(dst)
	}
	return append(dst, '}')
}

// appendTimes writes the metadata of n: a timestamp for each leaf.
func (n *node) appendTimes(dst []byte) []byte {
	if !n.object() {
		dst = append(dst, `{"timestamp":`...)
		dst = strconv.AppendInt(dst, n.time, 10)
		return append(dst, '}')
	}
	dst = append(dst, '{')
	for i := range n.kids {
		dst = n.kids[i].appendName(dst, i)
		dst = n.kids[i].appendTimes(dst)
	}
	return append(dst, '}')
}

func (n *node) appendName(dst []byte, i int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, n.name...)
	return append(dst, '"', ':')
}

// load rebuilds an object from its value and metadata, which have the same order.
func (n *node) load(value, times gjson.Result) {
	n.kids = make([]node, 0, 8)
	value.ForEach(func(key, v gjson.Result) bool {
		n.kids = append(n.kids, node{name: rawName(key), raw: v.Raw})
		return true
	})
	i := 0
	times.ForEach(func(_, t gjson.Result) bool {
		if i < len(n.kids) {
			n.kids[i].loadTimes(t)
		}
		i++
		return true
	})
	for ; i < len(n.kids); i++ {
		n.kids[i].loadTimes(gjson.Result{})
	}
}

// loadTimes completes a member whose value is still JSON.
func (n *node) loadTimes(times gjson.Result) {
	if n.raw[0] != '{' {
		n.time = times.Get("timestamp").Int()
		return
	}
	value := gjson.Result{Type: gjson.JSON, Raw: n.raw}
	n.raw = ""
	n.load(value, times)
}

// room is how much n takes as value and metadata, about.
func (n *node) room() int {
	total := len(n.raw) + 24
	for i := range n.kids {
		total += 2*len(n.kids[i].name) + 8 + n.kids[i].room()
	}
	return total
}

// clone copies n, so that a refused change leaves the original.
func (n *node) clone() node {
	c := *n
	if n.kids != nil {
		c.kids = make([]node, len(n.kids), len(n.kids)+4)
		for i := range n.kids {
			c.kids[i] = n.kids[i].clone()
		}
	}
	return c
}
