// SPDX-License-Identifier: Apache-2.0

package tsl_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/tsl"
)

func model(t testing.TB, name string) *tsl.Model {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := tsl.Parse(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		m := model(t, filepath.Base(f))
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tsl.Parse(raw)
		if err != nil {
			t.Fatalf("%s: written and read: %v", f, err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("%s: %s", f, diff)
		}
	}
}

func TestJudgements(t *testing.T) {
	v, err := tsl.Compile(model(t, "airconditioner.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ property, value, pointer, rule string }{
		{"Power", "1", "", ""},
		{"Power", "2", "/Power", "value"},
		{"Power", "true", "/Power", "value"},
		{"Power", `"1"`, "/Power", "value"},
		{"Target", "21.5", "", ""},
		{"Target", "21.3", "/Target", "step"},
		{"Target", "15.5", "/Target", "range"},
		{"Target", "30.5", "/Target", "range"},
		{"Target", "1e400", "/Target", "type"},
		{"Target", `"21"`, "/Target", "type"},
		{"Target", "null", "/Target", "type"},
		{"Indoor", "-39.999", "", ""},
		{"Indoor", "-41", "/Indoor", "range"},
		{"Mode", "4", "", ""},
		{"Mode", "5", "/Mode", "value"},
		{"Mode", "1.5", "/Mode", "value"},
		{"Runtime", "100000", "", ""},
		{"Runtime", "1.5", "/Runtime", "type"},
		{"Runtime", "1e2", "", ""},
		{"Label", `"` + strings.Repeat("x", 64) + `"`, "", ""},
		{"Label", `"` + strings.Repeat("x", 65) + `"`, "/Label", "length"},
		{"Label", `"` + strings.Repeat("ü", 33) + `"`, "/Label", "length"}, // bytes, not characters
		{"Label", "7", "/Label", "type"},
		{"Cleaned", `"1524448722000"`, "", ""},
		{"Cleaned", `"yesterday"`, "/Cleaned", "type"},
		{"Cleaned", `1524448722000`, "/Cleaned", "type"},
		{"Curve", "[1,2.5]", "", ""},
		{"Curve", "[]", "", ""},
		{"Curve", `[1,"2"]`, "/Curve/1", "type"},
		{"Curve", "[" + strings.Repeat("1,", 24) + "1]", "/Curve", "size"},
		{"Curve", "7", "/Curve", "type"},
		{"Filter", `{"Hours":3,"State":1}`, "", ""},
		{"Filter", `{"Hours":3}`, "", ""},
		{"Filter", `{"Hours":-3}`, "/Filter/Hours", "range"},
		{"Filter", `{"Days":3}`, "/Filter/Days", "unknown"},
		{"Filter", `[]`, "/Filter", "type"},
		{"Zones", `[{"Name":"hall","Open":1},{}]`, "", ""},
		{"Zones", `[{},{"Open":7}]`, "/Zones/1/Open", "value"},
		{"Smell", "1", "/Smell", "unknown"},
	} {
		r := v.Property(tt.property, []byte(tt.value))
		switch {
		case tt.rule == "" && r != nil:
			t.Errorf("%s = %s: %v", tt.property, tt.value, r)
		case tt.rule != "" && (r == nil || r.Rule != tt.rule || r.Pointer != tt.pointer || r.Message == ""):
			t.Errorf("%s = %.60s: %+v, want %s at %s", tt.property, tt.value, r, tt.rule, tt.pointer)
		}
	}
	for _, tt := range []struct {
		reason *tsl.Reason
		rule   string
	}{
		{v.Event("Leak", []byte(`{"Litres":2}`)), ""},
		{v.Event("Leak", []byte(`{"Litres":-2}`)), "range"},
		{v.Event("Fire", []byte(`{}`)), "unknown"},
		{v.Input("Boost", []byte(`{"Minutes":5}`)), ""},
		{v.Input("Boost", []byte(`{"Minutes":0}`)), "range"},
		{v.Input("Boost", []byte(`[]`)), "type"},
		{v.Output("Boost", []byte(`{"Until":"1524448722000"}`)), ""},
		{v.Output("Boost", []byte(`{"Until":5}`)), "type"},
		{v.Output("Sing", []byte(`{}`)), "unknown"},
	} {
		if tt.rule == "" && tt.reason != nil || tt.rule != "" && (tt.reason == nil || tt.reason.Rule != tt.rule) {
			t.Errorf("%+v, want %q", tt.reason, tt.rule)
		}
	}
}

func TestProblems(t *testing.T) {
	property := func(data string) string {
		return `{"properties":[{"identifier":"P","accessMode":"rw","dataType":` + data + `}]}`
	}
	repeat := func(n int, f string) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(f, i))
		}
		return strings.Join(list, ",")
	}
	member := `{"identifier":"m%d","name":"m","dataType":{"type":"int"}}`
	for _, tt := range []struct{ document, pointer, rule string }{
		{`{"properties":[{"identifier":"","accessMode":"r","dataType":{"type":"int"}}]}`, "/properties/0/identifier", "identifier"},
		{`{"properties":[{"identifier":"a-b","accessMode":"r","dataType":{"type":"int"}}]}`, "/properties/0/identifier", "identifier"},
		{`{"properties":[{"identifier":"a","accessMode":"x","dataType":{"type":"int"}}]}`, "/properties/0/accessMode", "access"},
		{`{"properties":[` + repeat(2, `{"identifier":"a","accessMode":"r","dataType":{"type":"int","specs":{"min":"%d"}}}`) + `]}`, "/properties/1/identifier", "unique"},
		{`{"properties":[` + repeat(201, `{"identifier":"a%d","accessMode":"r","dataType":{"type":"int"}}`) + `]}`, "", "features"},
		{property(`{"type":"long"}`), "/properties/0/dataType/type", "type"},
		{property(`{"type":"int","specs":{"min":"5","max":"1"}}`), "/properties/0/dataType/specs", "range"},
		{property(`{"type":"int","specs":{"min":"1.5"}}`), "/properties/0/dataType/specs/min", "number"},
		{property(`{"type":"float","specs":{"max":"much"}}`), "/properties/0/dataType/specs/max", "number"},
		{property(`{"type":"float","specs":{"step":"0"}}`), "/properties/0/dataType/specs/step", "step"},
		{property(`{"type":"enum","specs":{}}`), "/properties/0/dataType/specs", "words"},
		{property(`{"type":"enum","specs":{` + repeat(26, `"%d":"x"`) + `}}`), "/properties/0/dataType/specs", "words"},
		{property(`{"type":"enum","specs":{"1":"a","01":"b"}}`), "/properties/0/dataType/specs", "unique"},
		{property(`{"type":"text","specs":{"length":"2049"}}`), "/properties/0/dataType/specs/length", "length"},
		{property(`{"type":"array","specs":{"size":"129","item":{"type":"int"}}}`), "/properties/0/dataType/specs/size", "size"},
		{property(`{"type":"array","specs":{"size":"5"}}`), "/properties/0/dataType/specs/item", "item"},
		{property(`{"type":"array","specs":{"size":"5","item":{"type":"bool"}}}`), "/properties/0/dataType/specs/item/type", "item"},
		{property(`{"type":"struct","specs":[]}`), "/properties/0/dataType/specs", "members"},
		{property(`{"type":"struct","specs":[` + repeat(11, member) + `]}`), "/properties/0/dataType/specs", "members"},
		{property(`{"type":"struct","specs":[{"identifier":"s","dataType":{"type":"struct","specs":[` + repeat(1, member) + `]}}]}`), "/properties/0/dataType/specs/0/dataType/specs", "nesting"},
		{`{"events":[{"identifier":"e","type":"loud","outputData":[]}]}`, "/events/0/type", "level"},
		{`{"events":[{"identifier":"e","type":"info","outputData":[` + repeat(51, member) + `]}]}`, "/events/0/outputData", "arguments"},
		{`{"services":[{"identifier":"s","callType":"later","inputData":[],"outputData":[]}]}`, "/services/0/callType", "call"},
		{`{"services":[{"identifier":"s","callType":"sync","inputData":[` + repeat(21, member) + `],"outputData":[]}]}`, "/services/0/inputData", "arguments"},
	} {
		_, err := tsl.Parse([]byte(tt.document))
		e, ok := errors.AsType[*tsl.ModelError](err)
		if !ok || len(e.Problems) != 1 || e.Problems[0].Pointer != tt.pointer || e.Problems[0].Rule != tt.rule {
			t.Errorf("%.120s: %v, want %s at %s", tt.document, err, tt.rule, tt.pointer)
		}
	}
	for _, bad := range []string{``, `[]`, `{"properties":7}`, `{"properties":[{"dataType":{"type":"enum","specs":{"x":"y"}}}]}`} {
		if _, err := tsl.Parse([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "tsl: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// smallDocuments are seeds a fuzzer minimises quickly: one of each type.
var smallDocuments = []string{
	`{"properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"int","specs":{"min":"0","max":9,"step":"3"}}}]}`,
	`{"properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"text","specs":{"length":"2"}}}]}`,
	`{"properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"enum","specs":{"1":"a"}}}]}`,
	`{"properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"date"}}]}`,
	`{"properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"array","specs":{"size":2,"item":{"type":"int"}}}}]}`,
	`{"properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"struct","specs":[{"identifier":"value","dataType":{"type":"bool"}}]}}]}`,
	`{"events":[{"identifier":"b:E","type":"info"}],"services":[{"identifier":"S","callType":"sync","inputData":["P"]}]}`,
}

// FuzzParse reads documents: what is accepted compiles, survives being written
// and read, and has schemas.
func FuzzParse(f *testing.F) {
	for _, d := range smallDocuments {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if len(document) > 2000 { // a long document finds nothing a short one does not
			return
		}
		m, err := tsl.Parse(document)
		if err != nil {
			return
		}
		if _, err := tsl.Compile(m); err != nil {
			t.Fatalf("parsed but does not compile: %v", err)
		}
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tsl.Parse(raw)
		if err != nil {
			t.Fatalf("written and not read: %v\n%s", err, raw)
		}
		if c := tsl.Evolve(m, again); len(c) > 0 {
			t.Fatalf("written and read: %+v", c)
		}
		if _, err := m.PostSchema(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPost judges any bytes by models with every type: what is judged by Post and
// by Property is judged alike.
func FuzzPost(f *testing.F) {
	var all []*tsl.Validator
	for _, d := range smallDocuments {
		m, err := tsl.Parse([]byte(d))
		if err != nil {
			f.Fatal(err)
		}
		v, err := tsl.Compile(m)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, v)
	}
	for _, s := range []string{`1`, `{"value":1,"time":2}`, `"12"`, `[1,2]`, `{"value":{"value":1}}`, `"\ud83d\ude00"`, `-1.5e3`, `[{"a":[1]}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		params := append(append([]byte(`{"P":`), value...), '}')
		for _, v := range all {
			n := 0
			err := v.Post(params, func(p tsl.Verdict) bool {
				if n++; p.Reason == nil && v.Property(p.Name, p.Value) != nil {
					t.Fatalf("%s: %s passes in the post, not alone", params, p.Value)
				}
				return true
			})
			if json.Valid(params) && (err != nil || n == 0) {
				t.Fatalf("%s: %d verdicts, %v", params, n, err)
			}
			v.Event("b:E", value)
			v.Input("S", value)
		}
	})
}

func BenchmarkProperty(b *testing.B) {
	v, err := tsl.Compile(model(b, "airconditioner.json"))
	if err != nil {
		b.Fatal(err)
	}
	values := map[string][]byte{
		"Power": []byte("1"), "Target": []byte("21.5"), "Mode": []byte("3"), "Label": []byte(`"kitchen"`),
		"Curve": []byte("[1,2,3,4,5,6,7,8]"), "Filter": []byte(`{"Hours":3,"State":1}`),
	}
	for name, value := range values {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r := v.Property(name, value); r != nil {
					b.Fatal(r)
				}
			}
		})
	}
}

func Example() {
	m, err := tsl.Parse([]byte(`{"properties": [{"identifier": "Target", "accessMode": "rw",
		"dataType": {"type": "float", "specs": {"min": "16", "max": "30", "step": "0.5"}}}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := tsl.Compile(m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Property("Target", []byte("21.5")) == nil)
	fmt.Println(v.Property("Target", []byte("35")))
	// Output:
	// true
	// /Target: 35 is above 30 (range)
}
