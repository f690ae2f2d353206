// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/openalink/iot/rules/sql"
)

// FuzzCompile: any text is a statement or an *Error inside the text, and a
// statement written anew is the same.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{benchStatement, "SELECT `a`[0].b AS 'x' FROM '#' WHERE NOT a IN (1,-2) OR b LIKE 'x%' AND c BETWEEN 1 AND 2", `SELECT CASE a WHEN 1 THEN 2 END AS x FROM "t" WHERE x IS NOT NULL;`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		st, err := sql.Compile(text, sql.Options{})
		if err != nil {
			if e, ok := errors.AsType[*sql.Error](err); !ok || e.Line < 1 || e.Column < 1 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		again, err := sql.Compile(st.Format(), sql.Options{})
		if err != nil {
			t.Fatalf("%q became %q: %v", text, st.Format(), err)
		}
		if again.Format() != st.Format() {
			t.Fatalf("%q, %q", st.Format(), again.Format())
		}
	})
}

// FuzzEval: any payload gives JSON or nothing, the same alone and in a set.
func FuzzEval(f *testing.F) {
	texts := []string{
		`SELECT a, b.c AS c, b[1] AS d, concat(a, upper(e)) AS e FROM "t" WHERE a > 1 OR b.c IS NULL`,
		`SELECT *, deviceName() AS d FROM "t" WHERE a = 'x'`, `SELECT thingPropertyFlatMap() FROM "t"`, `SELECT a FROM "t" WHERE a > 1`,
	}
	var set sql.Set[int]
	var list []*sql.Statement
	for i, s := range texts {
		st, err := sql.Compile(s, sql.Options{})
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, st)
		set.Put(i, st)
	}
	f.Add([]byte(`{"a":1.50,"b":{"c":[1,"\u00e9"]},"items":{"A":{"value":{"x":1}}}}`))
	f.Add([]byte(`{"a":"x","b":[1,{"`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m := message("t", string(payload))
		want := map[int]string{}
		var row sql.Row
		for i, st := range list {
			if st.Eval(m, &row) {
				out := row.AppendPayload(nil)
				if !json.Valid(out) {
					t.Fatalf("%s: %s", st, out)
				}
				want[i] = string(out)
			}
		}
		set.Match(m, &row, func(i int, row *sql.Row) {
			if got := string(row.AppendPayload(nil)); got != want[i] {
				t.Fatalf("%s: %s, alone %s", list[i], got, want[i])
			}
			delete(want, i)
		})
		if len(want) > 0 {
			t.Fatalf("not found in the set: %v", want)
		}
	})
}
