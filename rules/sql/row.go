// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"iter"

	"github.com/tidwall/gjson"
)

// Row is what a statement made of a message: named values in the order of SELECT,
// or with SELECT * alone the payload as it is. A Row is used again for the next
// message without allocating; it is not safe for concurrent use.
type Row struct {
	frame  frame
	json   validity
	names  []string
	values []Value
	whole  bool // the payload as it is
	opened bool // whole, and its members are in names and values

	own   []string       // memory for names that depend on the payload
	place map[string]int // of names, when there are many
}

func (r *Row) begin(m *Message, t *tree) {
	r.frame.load(m, t)
	r.json = validity{}
	r.reset()
}

// reset empties the row.
func (r *Row) reset() {
	r.names, r.values, r.own = nil, r.values[:0], r.own[:0]
	r.whole, r.opened = false, false
	clear(r.place)
}

// fill makes the columns of a plan whose message passed.
func (r *Row) fill(p *plan) {
	r.reset()
	if p.alone {
		r.whole = true
		return
	}
	if p.fixed() {
		for i := range p.columns {
			r.values = append(r.values, p.columns[i].x(&r.frame))
		}
		r.names = p.names
		return
	}
	for i := range p.columns {
		switch c := &p.columns[i]; {
		case c.star:
			r.open(r.frame.m.Payload)
		case c.x == nil:
			r.flatten(c)
		default:
			r.set(c.name, c.x(&r.frame))
		}
	}
	r.names = r.own
}

// fixed reports that the names of the columns are known beforehand.
func (p *plan) fixed() bool {
	for i := range p.columns {
		if p.columns[i].x == nil {
			return false
		}
	}
	return true
}

// fewNames is up to how many names a search beats a map.
const fewNames = 16

// set adds a column, or replaces the one of that name.
func (r *Row) set(name string, v Value) {
	if i, ok := r.find(name); ok {
		r.values[i] = v
		return
	}
	r.own = append(r.own, name)
	r.values = append(r.values, v)
	switch n := len(r.own); {
	case n == fewNames:
		if r.place == nil {
			r.place = make(map[string]int, 2*fewNames)
		}
		for i, name := range r.own {
			r.place[name] = i
		}
	case n > fewNames:
		r.place[name] = n - 1
	}
}

func (r *Row) find(name string) (int, bool) {
	if len(r.own) >= fewNames {
		i, ok := r.place[name]
		return i, ok
	}
	for i := range r.own {
		if r.own[i] == name {
			return i, true
		}
	}
	return 0, false
}

// open adds the members of a JSON object; of other values there are none.
func (r *Row) open(payload []byte) {
	r.json.find(&r.frame)
	if !r.json.valid {
		return
	}
	doc := gjson.ParseBytes(payload)
	if !doc.IsObject() {
		return
	}
	doc.ForEach(func(key, value gjson.Result) bool {
		// The first of two members of a name counts, as for paths.
		if _, ok := r.find(key.String()); !ok {
			r.set(key.String(), rawValue([]byte(value.Raw)))
		}
		return true
	})
}

// Whole reports whether the row is the payload as it is, by SELECT * alone.
func (r *Row) Whole() bool { return r.whole }

// All yields names and values. Of SELECT * alone these are the members of the
// payload, none when it is no JSON object.
func (r *Row) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		r.expand()
		for i := range r.names {
			if !yield(r.names[i], r.values[i]) {
				return
			}
		}
	}
}

// expand opens the payload of SELECT * alone.
func (r *Row) expand() {
	if !r.whole || r.opened {
		return
	}
	r.open(r.frame.m.Payload)
	r.names, r.opened = r.own, true
}

// Get returns the value of a column.
func (r *Row) Get(name string) (v Value, ok bool) {
	r.expand()
	for i := range r.names {
		if r.names[i] == name {
			return r.values[i], true
		}
	}
	return Value{}, false
}

// AppendPayload appends what goes to sinks: the payload unchanged for SELECT *
// alone, otherwise a JSON object.
func (r *Row) AppendPayload(dst []byte) []byte {
	if r.whole {
		return append(dst, r.frame.m.Payload...)
	}
	dst = append(dst, '{')
	for i := range r.names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, r.names[i])
		dst = append(dst, ':')
		dst = r.values[i].AppendJSON(dst)
	}
	return append(dst, '}')
}
