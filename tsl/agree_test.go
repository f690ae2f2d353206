// SPDX-License-Identifier: Apache-2.0

package tsl_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"pgregory.net/rapid"

	"github.com/openalink/iot/tsl"
)

// schema compiles an exported schema.
func schema(t interface {
	Helper()
	Fatal(...any)
}, raw []byte, err error,
) *jsonschema.Schema {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	if err := c.AddResource("s.json", bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("s.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func accepts(s *jsonschema.Schema, document string) bool {
	dec := json.NewDecoder(strings.NewReader(document))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return false
	}
	return s.Validate(v) == nil
}

func posts(v *tsl.Validator, params string) bool {
	good := true
	err := v.Post([]byte(params), func(p tsl.Verdict) bool {
		good = good && p.Reason == nil
		return true
	})
	return good && err == nil
}

// TestAgreement holds the compiled validator against the exported schema, 10,000
// values a type, in properties, bare and wrapped, and as output of an event.
func TestAgreement(t *testing.T) {
	for _, kind := range []tsl.Type{tsl.Int, tsl.Float, tsl.Double, tsl.Bool, tsl.Enum, tsl.Text, tsl.Date, tsl.Array, tsl.Struct} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			cases, good := 0, 0
			rapid.Check(t, func(t *rapid.T) {
				data := dataType(t, kind, 0)
				m := &tsl.Model{
					Properties: []tsl.Property{{Identifier: "P", Access: tsl.ReadWrite, Data: data}},
					Events:     []tsl.Event{{Identifier: "E", Type: tsl.Info, Output: []tsl.Param{{Identifier: "P", Data: data}}}},
				}
				v, err := tsl.Compile(m)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := m.PostSchema()
				post := schema(t, raw, err)
				raw, err = m.EventSchema("E")
				event := schema(t, raw, err)
				for range 110 {
					value := valueOf(t, &data)
					params := `{"P":` + value + `}`
					if rapid.Bool().Draw(t, "wrapped") {
						params = `{"P":{"value":` + value + `,"time":1524448722000}}`
					}
					want := accepts(post, params)
					if posts(v, params) != want {
						raw, _ := m.PostSchema()
						t.Fatalf("%s: the schema says %v, the validator does not\n%s", params, want, raw)
					}
					output := `{"P":` + value + `}`
					if w := accepts(event, output); (v.Event("E", []byte(output)) == nil) != w {
						t.Fatalf("event %s: the schema says %v", output, w)
					}
					if cases++; want {
						good++
					}
				}
			})
			t.Logf("%d cases, %d of them good", cases, good)
			if cases < 10_000 || good < cases/10 || good > cases*99/100 {
				t.Errorf("%d cases, %d of them good", cases, good)
			}
		})
	}
}

// dataType draws a type of a kind. Numbers are such that decimals and floats
// agree about them.
func dataType(t *rapid.T, kind tsl.Type, depth int) tsl.DataType {
	d := tsl.DataType{Type: kind}
	switch kind {
	case tsl.Int, tsl.Float, tsl.Double:
		unit := 1
		if rapid.Bool().Draw(t, "step") {
			d.Step = rapid.SampledFrom([]tsl.Number{"1", "2", "5"}).Draw(t, "step is")
			if kind != tsl.Int {
				d.Step = rapid.SampledFrom([]tsl.Number{"0.5", "0.25", "0.1", "2"}).Draw(t, "step is")
			}
			unit = 10 // so that the least value is on a step counted from zero
		}
		lo := unit * rapid.IntRange(-5, 5).Draw(t, "min")
		if rapid.Bool().Draw(t, "has min") {
			d.Min = tsl.Number(fmt.Sprint(lo))
		}
		if rapid.Bool().Draw(t, "has max") {
			d.Max = tsl.Number(fmt.Sprint(lo + rapid.IntRange(0, 50).Draw(t, "max")))
		}
	case tsl.Bool:
		d.Words = []tsl.Word{{Value: 0, Text: "no"}, {Value: 1, Text: "yes"}}
	case tsl.Enum:
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(-3, 9), 1, 8, rapid.ID[int]).Draw(t, "words") {
			d.Words = append(d.Words, tsl.Word{Value: n, Text: "w"})
		}
	case tsl.Text:
		d.Length = rapid.IntRange(0, 8).Draw(t, "length")
	case tsl.Array:
		d.Size = rapid.IntRange(1, 5).Draw(t, "size")
		kinds := []tsl.Type{tsl.Int, tsl.Float, tsl.Double, tsl.Text, tsl.Struct}
		if depth > 0 {
			kinds = kinds[:4]
		}
		item := dataType(t, rapid.SampledFrom(kinds).Draw(t, "item"), depth+1)
		d.Item = &item
	case tsl.Struct:
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "value", "time", "c"}), 1, 5, rapid.ID[string]).Draw(t, "members")
		for _, name := range names {
			kinds := []tsl.Type{tsl.Int, tsl.Float, tsl.Bool, tsl.Enum, tsl.Text, tsl.Date, tsl.Array}
			if depth > 0 {
				kinds = kinds[:6]
			}
			d.Members = append(d.Members, tsl.Param{
				Identifier: name, Data: dataType(t, rapid.SampledFrom(kinds).Draw(t, "member"), depth+1),
			})
		}
	case tsl.Date:
	}
	return d
}

// valueOf draws JSON that is a value of the type, nearly one, or none at all.
func valueOf(t *rapid.T, d *tsl.DataType) string {
	if rapid.IntRange(0, 19).Draw(t, "foreign") == 0 {
		return rapid.SampledFrom([]string{"null", "true", `"x"`, "7", "[]", "{}", `{"value":1}`, `[1]`, "1.5", "1e2", "1.0", `"12"`}).Draw(t, "value")
	}
	switch d.Type {
	case tsl.Int:
		return fmt.Sprint(rapid.IntRange(-60, 110).Draw(t, "int"))
	case tsl.Float, tsl.Double:
		return fmt.Sprintf("%g", float64(rapid.IntRange(-600, 1100).Draw(t, "tenths"))/rapid.SampledFrom([]float64{1, 2, 4, 10, 20}).Draw(t, "of"))
	case tsl.Bool:
		return fmt.Sprint(rapid.IntRange(-1, 2).Draw(t, "bool"))
	case tsl.Enum:
		return fmt.Sprint(rapid.IntRange(-4, 10).Draw(t, "enum"))
	case tsl.Text:
		raw, _ := json.Marshal(rapid.StringMatching(`[a-z "\\\n]{0,10}`).Draw(t, "text"))
		return string(raw)
	case tsl.Date:
		return rapid.StringMatching(`"-?[0-9]{0,20}[ax]?"`).Draw(t, "date")
	case tsl.Array:
		var list []string
		for range rapid.IntRange(0, min(d.Size+1, 6)).Draw(t, "n") {
			list = append(list, valueOf(t, d.Item))
		}
		return "[" + strings.Join(list, ", ") + "]"
	case tsl.Struct:
		var list []string
		for i := range d.Members {
			if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				list = append(list, fmt.Sprintf("%q: %s", d.Members[i].Identifier, valueOf(t, &d.Members[i].Data)))
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "more") == 0 {
			list = append(list, `"z":1`)
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	return "null"
}

// TestDifferences is the table of what a schema cannot say, or says otherwise.
func TestDifferences(t *testing.T) {
	for _, tt := range []struct {
		name, data, params string
		validator, schema  bool
	}{
		{"a step not counted from zero", `{"type":"float","specs":{"min":"1","step":"2"}}`, `{"P":2}`, false, true},
		{"the length of a text is bytes", `{"type":"text","specs":{"length":"3"}}`, `{"P":"üü"}`, false, true},
		{"a property that comes twice", `{"type":"int"}`, `{"P":1,"P":2}`, false, true},
		{"a struct member that comes twice", `{"type":"struct","specs":[{"identifier":"a","dataType":{"type":"int"}}]}`, `{"P":{"a":1,"a":2}}`, false, true},
		{"more digits than a float64 has", `{"type":"float","specs":{"max":"16"}}`, `{"P":16.00000000000000000001}`, true, false},
		{"a step within rounding", `{"type":"double","specs":{"step":"0.1"}}`, `{"P":0.30000000000000004}`, true, false},
		{"the greatest float64, rounded", `{"type":"double"}`, `{"P":1.79769313486231570815e308}`, true, false},
	} {
		m, err := tsl.Parse([]byte(`{"properties":[{"identifier":"P","accessMode":"r","dataType":` + tt.data + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		v, err := tsl.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := posts(v, tt.params); got != tt.validator {
			t.Errorf("%s: the validator says %v", tt.name, got)
		}
		raw, err := m.PostSchema()
		if got := accepts(schema(t, raw, err), tt.params); got != tt.schema {
			t.Errorf("%s: the schema says %v", tt.name, got)
		}
	}
}

func TestSchemasOfServices(t *testing.T) {
	m := model(t, "meter.json")
	raw, err := m.InputSchema("ReadDay")
	if s := schema(t, raw, err); !accepts(s, `{"Day":"15"}`) || accepts(s, `{"Day":15}`) || accepts(s, `{"Night":"15"}`) {
		t.Errorf("input: %s", raw)
	}
	raw, err = m.OutputSchema("ReadDay")
	if s := schema(t, raw, err); !accepts(s, `{"Hourly":[1,2]}`) || accepts(s, `{"Hourly":["1"]}`) {
		t.Errorf("output: %s", raw)
	}
	for _, f := range []func(string) ([]byte, error){m.EventSchema, m.InputSchema, m.OutputSchema} {
		if _, err := f("None"); err == nil {
			t.Error("a schema of nothing")
		}
	}
}
