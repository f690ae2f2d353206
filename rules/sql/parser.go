// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"math"
	"strconv"
	"strings"
)

// Bounds of a statement. They are wider than what the vendors' consoles take.
const (
	MaxText  = 16 << 10 // bytes
	MaxItems = 128      // of the SELECT list
	maxDepth = 64       // of nested expressions
	maxList  = 1024     // of IN, arguments and WHEN branches
)

// words are those of the language: a path that begins with one needs backquotes.
var words = map[string]bool{
	"SELECT": true, "FROM": true, "WHERE": true, "AS": true, "AND": true, "OR": true, "NOT": true, "LIKE": true,
	"IN": true, "BETWEEN": true, "IS": true, "NULL": true, "TRUE": true, "FALSE": true, "CASE": true, "WHEN": true,
	"THEN": true, "ELSE": true, "END": true,
}

type parser struct {
	lexer
	token     token
	depth     int
	functions map[string]*Function
}

// parse reads a statement.
func parse(text string, functions map[string]*Function) (*query, *fault) {
	if len(text) > MaxText {
		return nil, faultf(MaxText, "", "a statement has at most %d bytes", MaxText)
	}
	p := &parser{lexer: lexer{text: text}, functions: functions}
	if f := p.advance(); f != nil {
		return nil, f
	}
	return p.query()
}

func (p *parser) advance() (f *fault) {
	p.token, f = p.next()
	return f
}

// take goes on if the token is s.
func (p *parser) take(s string) (bool, *fault) {
	if !p.token.is(s) {
		return false, nil
	}
	return true, p.advance()
}

// expect goes on behind s or fails.
func (p *parser) expect(s, hint string) *fault {
	ok, f := p.take(s)
	if f == nil && !ok {
		f = faultf(p.token.at, hint, "expected %s, found %s", s, p.token.describe())
	}
	return f
}

func (p *parser) query() (*query, *fault) {
	q := &query{}
	if f := p.expect("SELECT", "a statement is SELECT ... FROM \"topic\" WHERE ..."); f != nil {
		return nil, f
	}
	if f := p.items(q); f != nil {
		return nil, f
	}
	if f := p.expect("FROM", "items are separated by commas, and FROM follows the last"); f != nil {
		return nil, f
	}
	if p.token.kind != tokenText {
		return nil, faultf(p.token.at, "write the topic in quotes", "expected a topic filter, found %s", p.token.describe())
	}
	q.from, q.fromAt = p.token.text, p.token.at
	if f := p.advance(); f != nil {
		return nil, f
	}
	return q, p.tail(q)
}

// tail reads what stands behind FROM.
func (p *parser) tail(q *query) *fault {
	ok, f := p.take("WHERE")
	if f != nil {
		return f
	}
	if ok {
		if q.where, f = p.expression(0); f != nil {
			return f
		}
	}
	if _, f := p.take(";"); f != nil {
		return f
	}
	if p.token.kind != tokenEnd {
		return faultf(p.token.at, trailingHint(p.token), "unexpected %s behind the statement", p.token.describe())
	}
	return nil
}

func trailingHint(t token) string {
	for _, w := range []string{"JOIN", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION"} {
		if t.is(w) {
			return "a statement looks at one message: there is no " + w
		}
	}
	if t.is(",") {
		return "a statement has one topic filter"
	}
	if t.kind == tokenText || t.kind == tokenNumber || t.kind == tokenWord {
		return "an operator is missing before it, or AND, OR"
	}
	return ""
}

func (p *parser) items(q *query) *fault {
	for {
		it, f := p.item()
		if f != nil {
			return f
		}
		if q.items = append(q.items, it); len(q.items) > MaxItems {
			return faultf(it.at, "", "more than %d items", MaxItems)
		}
		if ok, f := p.take(","); f != nil || !ok {
			return f
		}
	}
}

func (p *parser) item() (item, *fault) {
	it := item{at: p.token.at}
	if p.token.is("FROM") {
		return it, faultf(it.at, "write * or what to pass on", "nothing is selected")
	}
	if p.token.is("*") {
		it.x = &star{it.at}
		return it, p.advance()
	}
	var f *fault
	if it.x, f = p.expression(0); f != nil {
		return it, f
	}
	as, f := p.take("AS")
	if f != nil {
		return it, f
	}
	if !as {
		return p.unnamed(it)
	}
	switch {
	case p.token.kind == tokenName || p.token.kind == tokenText,
		p.token.kind == tokenWord && !words[strings.ToUpper(p.token.text)]:
		it.name = p.token.text
	default:
		return it, faultf(p.token.at, "words of the language need backquotes", "expected a name, found %s", p.token.describe())
	}
	if it.name == "" {
		return it, faultf(p.token.at, "", "a name is empty")
	}
	return it, p.advance()
}

// unnamed gives an item the name it has without AS: the path as it is written, or
// the function.
func (p *parser) unnamed(it item) (item, *fault) {
	switch x := it.x.(type) {
	case *path:
		it.name = pathName(x.steps)
	case *call:
		it.name = x.fn.Name
	default:
		return it, faultf(p.token.at, "write AS and a name behind it", "an expression needs a name")
	}
	return it, nil
}

// pathName joins steps without backquotes, as in a[0].b.
func pathName(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		switch {
		case s.index >= 0:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}

// binding powers, from loose to tight. NOT stands between AND and comparisons.
const (
	powerOr = iota + 1
	powerAnd
	powerNot
	powerCompare
	powerAdd
	powerMultiply
	powerUnary
)

// infix finds the operator at the token and its power.
func (p *parser) infix() (operator, int) {
	if p.token.kind != tokenWord && p.token.kind != tokenSign {
		return opNone, 0
	}
	switch strings.ToUpper(p.token.text) {
	case "OR":
		return opOr, powerOr
	case "AND":
		return opAnd, powerAnd
	case "=", "==":
		return opEqual, powerCompare
	case "<>", "!=":
		return opUnequal, powerCompare
	case "<":
		return opLess, powerCompare
	case "<=":
		return opLessEqual, powerCompare
	case ">":
		return opGreater, powerCompare
	case ">=":
		return opGreaterEqual, powerCompare
	case "LIKE":
		return opLike, powerCompare
	case "IN", "BETWEEN", "IS", "NOT":
		return opNone, powerCompare
	case "+":
		return opAdd, powerAdd
	case "-":
		return opSubtract, powerAdd
	case "*":
		return opMultiply, powerMultiply
	case "/":
		return opDivide, powerMultiply
	case "%":
		return opModulo, powerMultiply
	}
	return opNone, 0
}

// expression reads what binds tighter than power.
func (p *parser) expression(power int) (expr, *fault) {
	if p.depth++; p.depth > maxDepth {
		return nil, faultf(p.token.at, "", "expressions nest deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	x, f := p.prefix()
	for f == nil {
		op, next := p.infix()
		if next <= power {
			return x, nil
		}
		if next == powerCompare && compared(x) {
			return nil, faultf(p.token.at, "join two comparisons with AND", "comparisons do not follow each other")
		}
		if op == opNone {
			x, f = p.postfix(x)
			continue
		}
		at := p.token.at
		if f = p.advance(); f != nil {
			break
		}
		var y expr
		if y, f = p.expression(next); f == nil {
			x = &binary{at, op, x, y}
		}
	}
	return nil, f
}

// compared reports whether x is a comparison that is not in parentheses.
func compared(x expr) bool {
	switch x := x.(type) {
	case *binary:
		return x.op.comparison() || x.op == opLike || x.op == opNotLike
	case *in, *between, *isNull:
		return true
	}
	return false
}

// postfix reads IN, BETWEEN, IS NULL and their negations.
func (p *parser) postfix(x expr) (expr, *fault) {
	at := p.token.at
	if ok, f := p.take("IS"); ok || f != nil {
		return p.isNull(at, x, f)
	}
	not, f := p.take("NOT")
	if f != nil {
		return nil, f
	}
	switch {
	case p.token.is("IN"):
		return p.in(at, x, not)
	case p.token.is("BETWEEN"):
		return p.between(at, x, not)
	case p.token.is("LIKE"):
		if f := p.advance(); f != nil {
			return nil, f
		}
		y, f := p.expression(powerCompare)
		return &binary{at, opNotLike, x, y}, f
	}
	return nil, faultf(p.token.at, "NOT here stands before LIKE, IN or BETWEEN", "unexpected %s", p.token.describe())
}

func (p *parser) isNull(at int, x expr, f *fault) (expr, *fault) {
	if f != nil {
		return nil, f
	}
	not, f := p.take("NOT")
	if f == nil {
		f = p.expect("NULL", "IS is followed by NULL or NOT NULL")
	}
	return &isNull{at, x, not}, f
}

func (p *parser) in(at int, x expr, not bool) (expr, *fault) {
	if f := p.advance(); f != nil {
		return nil, f
	}
	if f := p.expect("(", "write IN (value, value)"); f != nil {
		return nil, f
	}
	list, f := p.list("a list")
	if f == nil && len(list) == 0 {
		f = faultf(at, "", "IN needs a value")
	}
	return &in{at, x, list, not}, f
}

func (p *parser) between(at int, x expr, not bool) (expr, *fault) {
	if f := p.advance(); f != nil {
		return nil, f
	}
	lo, f := p.expression(powerCompare)
	if f != nil {
		return nil, f
	}
	if f := p.expect("AND", "write BETWEEN low AND high"); f != nil {
		return nil, f
	}
	hi, f := p.expression(powerCompare)
	return &between{at, x, lo, hi, not}, f
}

// list reads expressions up to the closing parenthesis.
func (p *parser) list(what string) ([]expr, *fault) {
	var list []expr
	if ok, f := p.take(")"); ok || f != nil {
		return nil, f
	}
	for {
		var x expr
		var f *fault
		if p.token.is("*") {
			x, f = &star{p.token.at}, p.advance()
		} else {
			x, f = p.expression(0)
		}
		if f != nil {
			return nil, f
		}
		if list = append(list, x); len(list) > maxList {
			return nil, faultf(x.offset(), "", "%s has more than %d members", what, maxList)
		}
		if ok, f := p.take(","); f != nil {
			return nil, f
		} else if !ok {
			return list, p.expect(")", "close "+what+" with )")
		}
	}
}

func (p *parser) prefix() (expr, *fault) {
	t := p.token
	switch t.kind {
	case tokenEnd:
		return nil, faultf(t.at, "", "expected an expression, found the end")
	case tokenText:
		return &literal{t.at, textValue(t.text)}, p.advance()
	case tokenNumber:
		return p.number()
	case tokenName:
		return p.path()
	case tokenWord:
		return p.word()
	case tokenSign:
	}
	switch t.text {
	case "(":
		return p.parentheses()
	case "-", "+":
		return p.sign()
	case "*":
		return nil, faultf(t.at, "* stands alone in SELECT, or in to_base64(*), to_hex(*)", "unexpected *")
	}
	return nil, faultf(t.at, "", "expected an expression, found %s", t.describe())
}

func (p *parser) number() (expr, *fault) {
	t := p.token
	n, err := strconv.ParseFloat(t.text, 64)
	if err != nil || math.IsInf(n, 0) {
		return nil, faultf(t.at, "", "%s is no number a float64 holds", t.describe())
	}
	return &literal{t.at, numberValue(n)}, p.advance()
}

func (p *parser) parentheses() (expr, *fault) {
	at := p.token.at
	if f := p.advance(); f != nil {
		return nil, f
	}
	x, f := p.expression(0)
	if f != nil {
		return nil, f
	}
	if f := p.expect(")", "a parenthesis is not closed"); f != nil {
		return nil, f
	}
	return &parens{at, x}, nil
}

// sign takes the sign into a literal, so that -1 is a constant.
func (p *parser) sign() (expr, *fault) {
	at, minus := p.token.at, p.token.text == "-"
	if f := p.advance(); f != nil {
		return nil, f
	}
	x, f := p.expression(powerUnary)
	if f != nil || !minus {
		return x, f
	}
	if l, ok := x.(*literal); ok && l.v.kind == Number {
		return &literal{at, numberValue(-l.v.num)}, nil
	}
	return &unary{at, opMinus, x}, nil
}

func (p *parser) word() (expr, *fault) {
	t := p.token
	switch word := strings.ToUpper(t.text); word {
	case "TRUE", "FALSE":
		return &literal{t.at, boolValue(word == "TRUE")}, p.advance()
	case "NULL":
		return &literal{t.at, Value{}}, p.advance()
	case "NOT":
		if f := p.advance(); f != nil {
			return nil, f
		}
		x, f := p.expression(powerNot)
		return &unary{t.at, opNot, x}, f
	case "CASE":
		return p.choice()
	default:
		if words[word] {
			return nil, faultf(t.at, "a member of that name needs backquotes", "expected an expression, found %s", t.describe())
		}
	}
	return p.path()
}

// path reads a path, or a call when a parenthesis follows the first name.
func (p *parser) path() (expr, *fault) {
	first := p.token
	if f := p.advance(); f != nil {
		return nil, f
	}
	if p.token.is("(") && first.kind == tokenWord {
		return p.call(first)
	}
	x := &path{at: first.at, steps: []step{{first.text, -1}}}
	for {
		s, more, f := p.step()
		if f != nil || !more {
			return x, f
		}
		if x.steps = append(x.steps, s); len(x.steps) > maxDepth {
			return nil, faultf(x.at, "", "a path has more than %d steps", maxDepth)
		}
	}
}

// step reads .name or [index].
func (p *parser) step() (s step, more bool, f *fault) {
	s.index = -1
	if ok, f := p.take("."); f != nil {
		return s, false, f
	} else if ok {
		if p.token.kind != tokenWord && p.token.kind != tokenName {
			return s, false, faultf(p.token.at, "names that begin with a digit need backquotes", "expected a member's name, found %s", p.token.describe())
		}
		s.key = p.token.text
		return s, true, p.advance()
	}
	ok, f := p.take("[")
	if f != nil || !ok {
		return s, false, f
	}
	n, err := strconv.ParseUint(p.token.text, 10, 31)
	if p.token.kind != tokenNumber || err != nil {
		return s, false, faultf(p.token.at, "elements count from 0", "expected the number of an element, found %s", p.token.describe())
	}
	s.index = int(n)
	if f := p.advance(); f != nil {
		return s, false, f
	}
	return s, true, p.expect("]", "close it with ]")
}

func (p *parser) call(name token) (expr, *fault) {
	fn := p.functions[strings.ToLower(name.text)]
	if fn == nil {
		return nil, faultf(name.at, nearest(name.text, p.functions), "there is no function %s", name.describe())
	}
	if f := p.advance(); f != nil {
		return nil, f
	}
	args, f := p.list("the arguments")
	if f != nil {
		return nil, f
	}
	if len(args) < fn.MinArgs || fn.MaxArgs >= 0 && len(args) > fn.MaxArgs {
		return nil, faultf(name.at, "write "+fn.Usage, "%s takes %s, not %d", fn.Name, countText(fn), len(args))
	}
	own := *fn // a statement does not keep the whole table
	return &call{name.at, &own, args}, nil
}

func countText(fn *Function) string {
	switch {
	case fn.MaxArgs < 0:
		return "at least " + strconv.Itoa(fn.MinArgs) + " arguments"
	case fn.MaxArgs == 0:
		return "no arguments"
	case fn.MinArgs == fn.MaxArgs && fn.MinArgs == 1:
		return "1 argument"
	case fn.MinArgs == fn.MaxArgs:
		return strconv.Itoa(fn.MinArgs) + " arguments"
	}
	return strconv.Itoa(fn.MinArgs) + " to " + strconv.Itoa(fn.MaxArgs) + " arguments"
}

func (p *parser) choice() (expr, *fault) {
	c := &choice{at: p.token.at}
	f := p.advance()
	if f == nil && !p.token.is("WHEN") {
		c.operand, f = p.expression(0)
	}
	for f == nil && p.token.is("WHEN") {
		var w when
		if w, f = p.when(); f == nil {
			c.whens = append(c.whens, w)
		}
	}
	if f != nil {
		return nil, f
	}
	if len(c.whens) == 0 || len(c.whens) > maxList {
		return nil, faultf(p.token.at, "write CASE WHEN condition THEN value ELSE value END", "expected WHEN, found %s", p.token.describe())
	}
	if ok, f := p.take("ELSE"); f != nil {
		return nil, f
	} else if ok {
		if c.other, f = p.expression(0); f != nil {
			return nil, f
		}
	}
	return c, p.expect("END", "CASE is closed with END")
}

func (p *parser) when() (w when, f *fault) {
	if f = p.advance(); f != nil {
		return w, f
	}
	if w.cond, f = p.expression(0); f != nil {
		return w, f
	}
	if f = p.expect("THEN", "write WHEN condition THEN value"); f != nil {
		return w, f
	}
	w.then, f = p.expression(0)
	return w, f
}

// nearest looks for a name that is two letters away at most.
func nearest(name string, functions map[string]*Function) string {
	name = strings.ToLower(name)
	best, hint := 3, ""
	for key, fn := range functions {
		if d := distance(name, key); d < best || d == best && fn.Name < hint {
			best, hint = d, fn.Name
		}
	}
	if hint == "" || best > 2 {
		return ""
	}
	return "did you mean " + hint + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
