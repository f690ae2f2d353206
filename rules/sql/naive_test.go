// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/rules/sql"
	"pgregory.net/rapid"
)

// tree is an expression as the test makes it, and judge is an evaluator that
// shares nothing with the package: it works on what encoding/json makes of the
// payload, and writes the rules of the language down once more.
type tree struct {
	op   string
	kids []tree
	num  float64
	text string
	path []any // string and int
}

func (e tree) sql() string {
	k := func(i int) string { return e.kids[i].sql() }
	switch e.op {
	case "num":
		return fmt.Sprint(e.num)
	case "text":
		return "'" + strings.ReplaceAll(e.text, "'", "''") + "'"
	case "path":
		s := ""
		for i, step := range e.path {
			if n, ok := step.(int); ok {
				s += fmt.Sprintf("[%d]", n)
				continue
			}
			if i > 0 {
				s += "."
			}
			s += step.(string)
		}
		return s
	case "null", "notnull":
		return "(" + k(0) + " IS " + map[string]string{"null": "", "notnull": "NOT "}[e.op] + "NULL)"
	case "NOT":
		return "(NOT " + k(0) + ")"
	case "neg":
		return "(- " + k(0) + ")"
	case "in":
		return "(" + k(0) + " IN (" + k(1) + ", " + k(2) + "))"
	case "between":
		return "(" + k(0) + " BETWEEN " + k(1) + " AND " + k(2) + ")"
	case "case":
		return "(CASE WHEN " + k(0) + " THEN " + k(1) + " ELSE " + k(2) + " END)"
	case "abs", "upper", "concat":
		args := []string{}
		for i := range e.kids {
			args = append(args, k(i))
		}
		return e.op + "(" + strings.Join(args, ", ") + ")"
	}
	return "(" + k(0) + " " + e.op + " " + k(1) + ")"
}

// judge returns nil, float64, bool, string, or what JSON nests.
func (e tree) judge(doc any) any {
	switch e.op {
	case "num":
		return e.num
	case "text":
		return e.text
	case "path":
		for _, step := range e.path {
			switch s := step.(type) {
			case int:
				list, _ := doc.([]any)
				if s >= len(list) {
					return nil
				}
				doc = list[s]
			case string:
				m, _ := doc.(map[string]any)
				doc = m[s]
			}
		}
		return doc
	}
	var v []any
	for _, k := range e.kids {
		v = append(v, k.judge(doc))
	}
	switch e.op {
	case "null":
		return v[0] == nil
	case "notnull":
		return v[0] != nil
	case "AND", "OR":
		return logic(e.op, truthOf(v[0]), truthOf(v[1]))
	case "NOT":
		if t := truthOf(v[0]); t != nil {
			return !t.(bool)
		}
		return nil
	case "in":
		return logic("OR", compare("=", v[0], v[1]), compare("=", v[0], v[2]))
	case "between":
		return logic("AND", compare(">=", v[0], v[1]), compare("<=", v[0], v[2]))
	case "case":
		if truthOf(v[0]) == true {
			return v[1]
		}
		return v[2]
	case "upper":
		if v[0] == nil {
			return nil
		}
		return strings.ToUpper(written(v[0]))
	case "concat":
		s := ""
		for _, x := range v {
			if x == nil {
				return nil
			}
			s += written(x)
		}
		return s
	case "+", "-", "*", "/", "%", "neg", "abs":
		return calculate(e.op, v)
	}
	return compare(e.op, v[0], v[1])
}

func written(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func numeric(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func truthOf(v any) any {
	n, ok := numeric(v)
	if !ok {
		return nil
	}
	return n != 0
}

func logic(op string, a, b any) any {
	end := op == "OR" // what decides alone
	if a == end || b == end {
		return end
	}
	if a == nil || b == nil {
		return nil
	}
	return !end
}

func compare(op string, a, b any) any {
	d := 0
	s, okA := a.(string)
	t, okB := b.(string)
	if okA && okB {
		d = strings.Compare(s, t)
	} else {
		x, okA := numeric(a)
		y, okB := numeric(b)
		if !okA || !okB {
			return nil
		}
		if x < y {
			d = -1
		} else if x > y {
			d = 1
		}
	}
	return map[string]bool{"=": d == 0, "<>": d != 0, "<": d < 0, "<=": d <= 0, ">": d > 0, ">=": d >= 0}[op]
}

func calculate(op string, v []any) any {
	x, ok := numeric(v[0])
	if !ok {
		return nil
	}
	y := 0.0
	if len(v) > 1 {
		if y, ok = numeric(v[1]); !ok {
			return nil
		}
	}
	n := map[string]float64{"+": x + y, "-": x - y, "*": x * y, "/": x / y, "%": math.Mod(x, y), "neg": -x, "abs": math.Abs(x)}[op]
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return nil
	}
	return n
}

// The generators make statements whose types fit, over few names, so that paths
// often lead somewhere.
func paths() *rapid.Generator[tree] {
	return rapid.Map(rapid.SampledFrom([][]any{{"a"}, {"b"}, {"c"}, {"a", "b"}, {"a", 0}, {"b", 1, "c"}, {"c", "a", "b"}}), func(p []any) tree { return tree{op: "path", path: p} })
}

func number(depth int) *rapid.Generator[tree] {
	return rapid.Custom(func(t *rapid.T) tree {
		if depth == 0 || rapid.Bool().Draw(t, "leaf") {
			if rapid.Bool().Draw(t, "path") {
				return paths().Draw(t, "p")
			}
			return tree{op: "num", num: float64(rapid.IntRange(0, 4).Draw(t, "n")) / 2}
		}
		op := rapid.SampledFrom([]string{"+", "-", "*", "/", "%", "neg", "abs", "case"}).Draw(t, "op")
		x, y := number(depth-1).Draw(t, "x"), number(depth-1).Draw(t, "y")
		switch op {
		case "neg", "abs":
			return tree{op: op, kids: []tree{x}}
		case "case":
			return tree{op: op, kids: []tree{condition(depth-1).Draw(t, "if"), x, y}}
		}
		return tree{op: op, kids: []tree{x, y}}
	})
}

func text(depth int) *rapid.Generator[tree] {
	return rapid.Custom(func(t *rapid.T) tree {
		if depth == 0 || rapid.Bool().Draw(t, "leaf") {
			if rapid.Bool().Draw(t, "path") {
				return paths().Draw(t, "p")
			}
			return tree{op: "text", text: rapid.SampledFrom([]string{"", "a", "b", "it's"}).Draw(t, "s")}
		}
		if rapid.Bool().Draw(t, "upper") {
			return tree{op: "upper", kids: []tree{{op: "text", text: "ab"}}}
		}
		return tree{op: "concat", kids: []tree{text(depth-1).Draw(t, "x"), text(depth-1).Draw(t, "y")}}
	})
}

func condition(depth int) *rapid.Generator[tree] {
	return rapid.Custom(func(t *rapid.T) tree {
		operand := number
		if rapid.Bool().Draw(t, "texts") {
			operand = text
		}
		d := max(depth-1, 0)
		x, y, z := operand(d).Draw(t, "x"), operand(d).Draw(t, "y"), operand(d).Draw(t, "z")
		switch op := rapid.SampledFrom([]string{"=", "<>", "<", "<=", ">", ">=", "in", "between", "null", "notnull", "AND", "OR", "NOT"}).Draw(t, "op"); op {
		case "in", "between":
			return tree{op: op, kids: []tree{x, y, z}}
		case "null", "notnull":
			return tree{op: op, kids: []tree{x}}
		case "AND", "OR":
			return tree{op: op, kids: []tree{condition(d).Draw(t, "l"), condition(d).Draw(t, "r")}}
		case "NOT":
			return tree{op: op, kids: []tree{condition(d).Draw(t, "l")}}
		default:
			return tree{op: op, kids: []tree{x, y}}
		}
	})
}

func document(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := rapid.SampledFrom([]string{"number", "text", "bool", "null", "object", "list"}).Draw(t, "kind")
		if depth == 0 && (kind == "object" || kind == "list") {
			kind = "number"
		}
		switch kind {
		case "number":
			return float64(rapid.IntRange(-4, 8).Draw(t, "n")) / 2
		case "text":
			return rapid.SampledFrom([]string{"", "a", "b", "it's", "\"\\ü"}).Draw(t, "s")
		case "bool":
			return rapid.Bool().Draw(t, "b")
		case "list":
			return rapid.SliceOfN(document(depth-1), 0, 3).Draw(t, "list")
		case "object":
			return object(depth-1).Draw(t, "object")
		}
		return nil
	})
}

func object(depth int) *rapid.Generator[any] {
	return rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d\""}), document(depth), 0, 4), func(m map[string]any) any { return m })
}

// The package and the naive evaluator agree, alone, in a set of several statements,
// and on payloads that are cut off.
func TestNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload, err := json.Marshal(object(3).Draw(t, "doc"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
			payload = payload[:rapid.IntRange(0, len(payload)).Draw(t, "at")]
		}
		var doc any
		_ = json.Unmarshal(payload, &doc) // nil, which has no paths, when it is no JSON
		var set sql.Set[int]
		want := map[int]string{}
		for i := range rapid.IntRange(1, 5).Draw(t, "statements") {
			where, column := condition(2).Draw(t, "where"), number(2).Draw(t, "column")
			st, err := sql.Compile("SELECT "+column.sql()+" AS x, a AS y FROM 't' WHERE "+where.sql(), sql.Options{})
			if err != nil {
				t.Fatalf("%s: %v", where.sql(), err)
			}
			if truthOf(where.judge(doc)) == true {
				b, _ := json.Marshal([]any{column.judge(doc), tree{op: "path", path: []any{"a"}}.judge(doc)})
				want[i] = string(b)
			}
			var row sql.Row
			if st.Eval(message("t", string(payload)), &row) != (want[i] != "") {
				t.Fatalf("%s of %s: want %q", st, payload, want[i])
			}
			set.Put(i, st)
		}
		got := map[int]string{}
		var row sql.Row
		set.Match(message("t", string(payload)), &row, func(i int, row *sql.Row) {
			var out struct{ X, Y any }
			if err := json.Unmarshal(row.AppendPayload(nil), &out); err != nil {
				t.Fatal(err)
			}
			b, _ := json.Marshal([]any{out.X, out.Y})
			got[i] = string(b)
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%s", payload, diff)
		}
	})
}
