// SPDX-License-Identifier: Apache-2.0

package sql

// expr is a node of an expression. offset is where it begins in the text.
type expr interface{ offset() int }

type (
	literal struct {
		at int
		v  Value
	}
	// path leads into the payload.
	path struct {
		at    int
		steps []step
	}
	// star is the whole payload.
	star struct{ at int }
	call struct {
		at   int
		fn   *Function
		args []expr
	}
	// parens is an expression in parentheses.
	parens struct {
		at int
		x  expr
	}
	unary struct {
		at int
		op operator // opNot or opMinus
		x  expr
	}
	binary struct {
		at   int // of the operator
		op   operator
		x, y expr
	}
	in struct {
		at   int
		x    expr
		list []expr
		not  bool
	}
	between struct {
		at        int
		x, lo, hi expr
		not       bool
	}
	isNull struct {
		at  int
		x   expr
		not bool
	}
	choice struct { // CASE
		at      int
		operand expr // nil: the conditions decide
		whens   []when
		other   expr // nil: NULL
	}
)

type when struct{ cond, then expr }

// step is a member of an object, or an element of an array when key is empty and
// index is not negative.
type step struct {
	key   string
	index int // -1 for members
}

func (e *literal) offset() int { return e.at }
func (e *path) offset() int    { return e.at }
func (e *star) offset() int    { return e.at }
func (e *call) offset() int    { return e.at }
func (e *parens) offset() int  { return e.at }
func (e *unary) offset() int   { return e.at }
func (e *binary) offset() int  { return e.x.offset() }
func (e *in) offset() int      { return e.x.offset() }
func (e *between) offset() int { return e.x.offset() }
func (e *isNull) offset() int  { return e.x.offset() }
func (e *choice) offset() int  { return e.at }

type operator uint8

const (
	opNone operator = iota
	opOr
	opAnd
	opNot
	opEqual
	opUnequal
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opLike
	opNotLike
	opAdd
	opSubtract
	opMultiply
	opDivide
	opModulo
	opMinus
)

var operatorText = [...]string{
	opOr: "OR", opAnd: "AND", opNot: "NOT", opEqual: "=", opUnequal: "<>", opLess: "<", opLessEqual: "<=",
	opGreater: ">", opGreaterEqual: ">=", opLike: "LIKE", opNotLike: "NOT LIKE", opAdd: "+", opSubtract: "-",
	opMultiply: "*", opDivide: "/", opModulo: "%", opMinus: "-",
}

func (op operator) String() string { return operatorText[op] }

func (op operator) comparison() bool { return opEqual <= op && op <= opGreaterEqual }

func (op operator) arithmetic() bool { return opAdd <= op && op <= opModulo }

// item is one thing of the SELECT list.
type item struct {
	x    expr // star for *
	name string
	at   int
}

// query is a parsed statement.
type query struct {
	items  []item
	from   string
	fromAt int
	where  expr // nil without
}
