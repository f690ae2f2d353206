// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"maps"
	"slices"
	"strings"
)

// Function is a function of the language: a built-in one, or one the embedder
// passes in Options.
type Function struct {
	Name    string // as it is written; statements may write it in any case
	Usage   string // as in "substring(text, begin, end)"
	Summary string // a sentence
	MinArgs int
	MaxArgs int     // negative for any number
	Args    []Kinds // what the arguments may be; the last one repeats; nil for anything
	Result  Kinds   // what Call may give
	// Nulls says that Call takes NULL arguments. Otherwise a NULL argument makes
	// the result NULL and Call is not asked.
	Nulls bool
	// Call calculates the result. It must be safe for concurrent use and keep
	// neither m nor args. It must not block: statements run where messages pass.
	Call func(m *Message, args []Value) Value

	star  bool // takes * for the payload
	flat  bool // makes columns
	check func(i int, v Value) string
}

// arg returns what argument i may be.
func (fn *Function) arg(i int) Kinds {
	if len(fn.Args) == 0 {
		return Any
	}
	return fn.Args[min(i, len(fn.Args)-1)]
}

// Functions lists the built-in functions by name.
func Functions() []Function {
	table := builtins(Options{})
	out := make([]Function, 0, len(table))
	for _, fn := range table {
		out = append(out, *fn)
	}
	slices.SortFunc(out, func(a, b Function) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return out
}

// builtins makes the table of functions, by lower-case name.
func builtins(o Options) map[string]*Function {
	table := map[string]*Function{}
	for _, list := range [][]Function{mathFunctions(), textFunctions(), messageFunctions(), timeFunctions(o), codecFunctions()} {
		for i := range list {
			table[strings.ToLower(list[i].Name)] = &list[i]
		}
	}
	return table
}

// functions is the table a statement sees.
func (o Options) functions() map[string]*Function {
	table := builtins(o)
	own := map[string]*Function{}
	for i := range o.Functions {
		own[strings.ToLower(o.Functions[i].Name)] = &o.Functions[i]
	}
	maps.Copy(table, own)
	return table
}
