// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"cmp"
	"slices"
)

// group is the statements of one filter, bound to one tree. It never changes.
type group[K comparable] struct {
	tree    *tree
	keys    []K
	plans   []*plan
	always  []int32 // statements the index says nothing of
	indexes []index
}

// index finds the statements one of whose conditions a value meets.
type index struct {
	at      int32 // node of the value
	numbers map[float64][]int32
	texts   map[string][]int32
	above   []bound // statements that need more than their bound, lowest first
	below   []bound // statements that need less, highest first
}

type bound struct {
	n  float64
	of int32
}

func newGroup[K comparable](members []member[K]) *group[K] {
	g := &group[K]{tree: newTree()}
	indexes := map[int32]*index{}
	for i, m := range members {
		g.keys = append(g.keys, m.key)
		g.plans = append(g.plans, m.statement.query.bind(g.tree))
		e := best(m.statement.query.where)
		if e == nil {
			g.always = append(g.always, int32(i))
			continue
		}
		at := g.tree.add(e.path.steps)
		if indexes[at] == nil {
			indexes[at] = &index{at: at, numbers: map[float64][]int32{}, texts: map[string][]int32{}}
		}
		indexes[at].add(e, int32(i))
	}
	for _, x := range indexes {
		slices.SortFunc(x.above, func(a, b bound) int { return cmp.Compare(a.n, b.n) })
		slices.SortFunc(x.below, func(a, b bound) int { return cmp.Compare(b.n, a.n) })
		g.indexes = append(g.indexes, *x)
	}
	return g
}

func (x *index) add(e *entry, of int32) {
	switch {
	case e.above:
		x.above = append(x.above, bound{e.values[0].num, of})
	case e.below:
		x.below = append(x.below, bound{e.values[0].num, of})
	default:
		x.equal(e.values, of)
	}
}

func (x *index) equal(values []Value, of int32) {
	for _, v := range values {
		if v.kind == Text {
			if list := x.texts[v.text]; !slices.Contains(list, of) {
				x.texts[v.text] = append(list, of)
			}
		} else if list := x.numbers[v.num]; !slices.Contains(list, of) {
			x.numbers[v.num] = append(list, of)
		}
	}
}

// match calls f for the statements that pass.
func (g *group[K]) match(row *Row, f func(K, *Row)) {
	for _, i := range g.always {
		g.try(i, row, f)
	}
	for i := range g.indexes {
		x := &g.indexes[i]
		if n, ok := row.frame.number(x.at); ok {
			x.byNumber(n, func(of int32) { g.try(of, row, f) })
		} else if len(x.texts) > 0 {
			if v := rawValue(row.frame.raw[x.at]); v.kind == Text {
				for _, of := range x.texts[v.text] {
					g.try(of, row, f)
				}
			}
		}
	}
}

func (x *index) byNumber(n float64, f func(int32)) {
	for _, of := range x.numbers[n] {
		f(of)
	}
	for _, b := range x.above {
		if b.n > n {
			break
		}
		f(b.of)
	}
	for _, b := range x.below {
		if b.n < n {
			break
		}
		f(b.of)
	}
}

func (g *group[K]) try(i int32, row *Row, f func(K, *Row)) {
	p := g.plans[i]
	if !p.passes(&row.frame, &row.json) {
		return
	}
	row.fill(p)
	f(g.keys[i], row)
}

// entry is the condition a statement is found by: what every message it passes
// meets.
type entry struct {
	path         *path
	values       []Value // equal to one of these, or beyond the first
	above, below bool
}

// rank prefers what leaves out most.
func (e *entry) rank() int {
	switch {
	case e == nil:
		return 0
	case e.above || e.below:
		return 1
	case len(e.values) > 1:
		return 2
	}
	return 3
}

// best picks one of the conditions that AND joins.
func best(e expr) *entry {
	switch e := e.(type) {
	case *parens:
		return best(e.x)
	case *binary:
		if e.op == opAnd {
			x, y := best(e.x), best(e.y)
			if y.rank() > x.rank() {
				return y
			}
			return x
		}
		return limit(e)
	case *in:
		return listed(e)
	case *between:
		p, ok := e.x.(*path)
		l, okL := e.lo.(*literal)
		if ok && okL && !e.not && l.v.kind != Text {
			return &entry{path: p, values: []Value{l.v}, above: true}
		}
	}
	return nil
}

func limit(e *binary) *entry {
	if !e.op.comparison() {
		return nil
	}
	p, l, op := sides(e)
	if p == nil || l.v.kind == Text && op != opEqual {
		return nil
	}
	switch op {
	case opEqual:
		return &entry{path: p, values: []Value{l.v}}
	case opGreater, opGreaterEqual:
		return &entry{path: p, values: []Value{l.v}, above: true}
	case opLess, opLessEqual:
		return &entry{path: p, values: []Value{l.v}, below: true}
	default:
		return nil
	}
}

func listed(e *in) *entry {
	p, ok := e.x.(*path)
	if !ok || e.not {
		return nil
	}
	out := &entry{path: p}
	for _, x := range e.list {
		l, ok := x.(*literal)
		if !ok {
			return nil
		}
		out.values = append(out.values, l.v)
	}
	return out
}
