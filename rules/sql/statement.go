// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"errors"
	"strconv"
	"time"

	"github.com/openalink/iot/topic"
)

// Options are what statements are compiled with. The zero Options are useful.
type Options struct {
	// Functions are added to the built-in ones; one of the same name replaces it.
	Functions []Function
	// Location is the zone of timestamp(format); nil is UTC. The vendor's is UTC+8.
	Location *time.Location
}

// Statement is a compiled rule. It never changes and is safe for concurrent use.
type Statement struct {
	text  string
	query *query
	plan  *plan
	tree  *tree
}

// plan is a query bound to a tree of paths.
type plan struct {
	where   cond // nil without
	columns []column
	names   []string // of the columns, when all are known beforehand
	alone   bool     // SELECT *: the payload as it is
	// sure says that WHERE may be judged before the payload is known to be JSON.
	sure  bool
	reads bool // needs the payload to be JSON
}

type column struct {
	name string
	x    eval     // nil for * and flat
	flat []string // identifiers of thingPropertyFlatMap
	star bool
}

// Compile reads and checks a statement. The error is an *Error.
func Compile(text string, o Options) (*Statement, error) {
	q, f := parse(text, o.functions())
	if f == nil {
		f = q.check()
	}
	if f != nil {
		return nil, f.locate(text)
	}
	t := newTree()
	return &Statement{text: text, query: q, plan: q.bind(t), tree: t}, nil
}

// String returns the text of the statement.
func (s *Statement) String() string { return s.text }

// From returns the topic filter.
func (s *Statement) From() string { return s.query.from }

// check finds what does not fit.
func (q *query) check() *fault {
	if err := topic.CheckFilter(q.from); err != nil {
		return faultf(q.fromAt, "", "%s is no topic filter: %s", strconv.Quote(q.from), reason(err))
	}
	seen := map[string]bool{}
	for _, it := range q.items {
		if f := it.check(); f != nil {
			return f
		}
		if it.name != "" && seen[it.name] {
			return faultf(it.at, "give it another name with AS", "there are two columns %q", it.name)
		}
		seen[it.name] = it.name != ""
	}
	if q.where == nil {
		return nil
	}
	return condition(q.where)
}

// reason is the innermost text of an error.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func (it *item) check() *fault {
	if _, ok := it.x.(*star); ok {
		return nil
	}
	if c, ok := it.x.(*call); ok && c.fn.flat {
		for _, x := range c.args {
			if l, ok := x.(*literal); !ok || l.v.kind != Text {
				return faultf(x.offset(), "write "+c.fn.Usage, "%s takes names in quotes", c.fn.Name)
			}
		}
		return nil
	}
	_, f := kinds(it.x)
	return f
}

// bind compiles q over t.
func (q *query) bind(t *tree) *plan {
	c := compiler{t}
	p := &plan{sure: true}
	for _, it := range q.items {
		col := column{name: it.name}
		switch x := it.x.(type) {
		case *star:
			col.star = true
			p.alone = len(q.items) == 1
		case *call:
			if x.fn.flat {
				col = flatColumn(c, x)
				break
			}
			col.x = c.eval(x)
		default:
			col.x = c.eval(x)
		}
		p.columns = append(p.columns, col)
		p.names = append(p.names, col.name)
		if col.x == nil {
			p.reads = p.reads || !p.alone
		}
	}
	if q.where != nil {
		p.where = c.cond(q.where)
		p.sure = rejectsNulls(q.where)
	}
	p.reads = p.reads || q.paths()
	return p
}

// paths reports whether q has any path.
func (q *query) paths() bool {
	t := newTree()
	c := compiler{t}
	if q.where != nil {
		c.cond(q.where)
	}
	for _, it := range q.items {
		c.eval(it.x)
	}
	return t.leaves > 0
}

// Matches reports whether the topic is one of FROM.
func (s *Statement) Matches(name string) bool { return topic.Match(s.query.from, name) }

// Eval judges m, whose topic is taken to match, and fills row with what SELECT
// says. It reports whether the message passed; otherwise row is empty. What row
// holds is valid until it is used again, and as long as m and its payload are.
//
// Eval of a message that does not pass allocates nothing, unless a function does.
func (s *Statement) Eval(m *Message, row *Row) bool {
	row.begin(m, s.tree)
	if !s.plan.passes(&row.frame, &row.json) {
		return false
	}
	row.fill(s.plan)
	return true
}

// passes judges WHERE. The payload is checked only where that can change the
// outcome.
func (p *plan) passes(f *frame, json *validity) bool {
	if !p.reads {
		return p.where == nil || p.where(f) == yes
	}
	if p.sure && p.where != nil && p.where(f) != yes {
		return false
	}
	json.find(f)
	if p.sure && json.valid || p.where == nil {
		return true
	}
	return p.where(f) == yes
}

// validity remembers for one message whether its payload is JSON.
type validity struct{ known, valid bool }

// find looks once. What was read of a payload that is not JSON is not there.
func (v *validity) find(f *frame) {
	if v.known {
		return
	}
	v.known = true
	if v.valid = f.valid(); !v.valid {
		f.forget()
	}
}
