// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strconv"
	"strings"
)

// Explanation says what a statement made of a message, and why.
type Explanation struct {
	Topic      bool        `json:"topic"`  // FROM matches
	JSON       bool        `json:"json"`   // the payload is JSON
	Passed     bool        `json:"passed"` // topic and WHERE
	Conditions []Condition `json:"conditions,omitempty"`
	Row        string      `json:"row,omitempty"` // what goes to the sinks, if it passed
}

// Condition is one of those that AND joins in WHERE.
type Condition struct {
	Text   string `json:"text"`
	Result string `json:"result"` // true, false or unknown
	// Reason names the values it was judged by, and what made it unknown.
	Reason string `json:"reason,omitempty"`
}

// Explain judges m as Eval does and tells how: every condition is judged, also
// those behind one that does not hold.
func (s *Statement) Explain(m *Message) Explanation {
	var row Row
	e := Explanation{Topic: s.Matches(m.Topic)}
	passed := s.Eval(m, &row)
	e.Passed = e.Topic && passed
	if e.Passed {
		e.Row = string(row.AppendPayload(nil))
	}
	t := newTree()
	list := conjuncts(s.query.where, nil)
	c := compiler{t}
	conds := make([]cond, len(list))
	for i, x := range list {
		conds[i] = c.cond(x)
	}
	operands := make([][]eval, len(list))
	for i, x := range list {
		for _, p := range leaves(x, nil) {
			operands[i] = append(operands[i], c.eval(p))
		}
	}
	var f frame
	f.load(m, t)
	if e.JSON = f.valid(); !e.JSON {
		f.forget()
	}
	for i, x := range list {
		e.Conditions = append(e.Conditions, Condition{
			Text: format(x), Result: truthNames[conds[i](&f)], Reason: reasons(x, operands[i], &f),
		})
	}
	return e
}

var truthNames = [...]string{no: "false", yes: "true", unknown: "unknown"}

// conjuncts lists what AND joins.
func conjuncts(e expr, list []expr) []expr {
	switch x := e.(type) {
	case nil:
		return list
	case *parens:
		return conjuncts(x.x, list)
	case *binary:
		if x.op == opAnd {
			return conjuncts(x.y, conjuncts(x.x, list))
		}
	}
	return append(list, e)
}

// reasons lists the values of what is not constant in a condition.
func reasons(x expr, operands []eval, f *frame) string {
	var parts []string
	for i, p := range leaves(x, nil) {
		v := operands[i](f)
		text := string(v.AppendJSON(nil))
		if len(text) > 80 {
			text = text[:80] + "..."
		}
		if v.kind == Null {
			text = "NULL"
		}
		parts = append(parts, format(p)+" is "+text)
	}
	return strings.Join(parts, ", ")
}

// leaves lists the paths and calls of an expression.
func leaves(e expr, list []expr) []expr {
	if e == nil {
		return list
	}
	switch x := e.(type) {
	case *path:
		return append(list, x)
	case *call:
		return append(list, x)
	case *parens:
		return leaves(x.x, list)
	case *unary:
		return leaves(x.x, list)
	case *binary:
		return leaves(x.y, leaves(x.x, list))
	case *isNull:
		return leaves(x.x, list)
	case *between:
		return leaves(x.hi, leaves(x.lo, leaves(x.x, list)))
	case *in:
		list = leaves(x.x, list)
		for _, y := range x.list {
			list = leaves(y, list)
		}
	case *choice:
		list = leaves(x.operand, list)
		for _, w := range x.whens {
			list = leaves(w.then, leaves(w.cond, list))
		}
		return leaves(x.other, list)
	}
	return list
}

// format writes an expression so that it parses to the same.
func format(e expr) string {
	switch e := e.(type) {
	case *literal:
		return formatLiteral(e.v)
	case *path:
		return formatPath(e)
	case *star:
		return "*"
	case *parens:
		return "(" + format(e.x) + ")"
	case *call:
		return e.fn.Name + "(" + formatList(e.args) + ")"
	case *unary:
		if e.op == opNot {
			return "NOT " + format(e.x)
		}
		return "-" + format(e.x)
	case *binary:
		return format(e.x) + " " + e.op.String() + " " + format(e.y)
	case *in:
		return format(e.x) + negated(e.not) + " IN (" + formatList(e.list) + ")"
	case *between:
		return format(e.x) + negated(e.not) + " BETWEEN " + format(e.lo) + " AND " + format(e.hi)
	case *isNull:
		return format(e.x) + " IS" + negated(e.not) + " NULL"
	case *choice:
		return formatChoice(e)
	}
	return ""
}

func negated(not bool) string {
	if not {
		return " NOT"
	}
	return ""
}

func formatList(list []expr) string {
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = format(x)
	}
	return strings.Join(parts, ", ")
}

func formatLiteral(v Value) string {
	switch v.kind {
	case Text:
		return formatText(v.text)
	case Number:
		return strconv.FormatFloat(v.num, 'g', -1, 64)
	case Null, Bool, JSON:
	}
	return strings.ToUpper(string(v.AppendJSON(nil)))
}

// formatText picks the quote that no backslash stands before: it would keep it.
func formatText(s string) string {
	q := "'"
	if strings.Contains(s, `\'`) {
		q = `"`
	}
	return q + strings.ReplaceAll(s, q, q+q) + q
}

func formatPath(e *path) string {
	var b strings.Builder
	for i, s := range e.steps {
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(formatName(s.key))
	}
	return b.String()
}

// formatName puts a name in backquotes that would not be read as one.
func formatName(name string) string {
	l := lexer{text: name}
	t, f := l.next()
	if f == nil && t.kind == tokenWord && t.end == len(name) && !words[strings.ToUpper(name)] {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

func formatChoice(e *choice) string {
	var b strings.Builder
	b.WriteString("CASE ")
	if e.operand != nil {
		b.WriteString(format(e.operand) + " ")
	}
	for _, w := range e.whens {
		b.WriteString("WHEN " + format(w.cond) + " THEN " + format(w.then) + " ")
	}
	if e.other != nil {
		b.WriteString("ELSE " + format(e.other) + " ")
	}
	b.WriteString("END")
	return b.String()
}

// Format writes the statement anew: one form for all ways to write it.
func (s *Statement) Format() string {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, it := range s.query.items {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(format(it.x))
		if it.name != "" {
			b.WriteString(" AS " + formatName(it.name))
		}
	}
	b.WriteString(" FROM " + formatText(s.query.from))
	if s.query.where != nil {
		b.WriteString(" WHERE " + format(s.query.where))
	}
	return b.String()
}
