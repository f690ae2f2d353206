// SPDX-License-Identifier: Apache-2.0

package tsl_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openalink/iot/tsl"
)

// wrong are values that fit in few places.
var wrong = []string{
	`null`, `true`, `"x"`, `""`, `"a:b"`, `"a:b:c"`, `":"`, `"ü"`, `"a b"`, `5`, `-1`, `1.5`, `1e2`, `1.0`, `"12"`, `"r"`, `"info"`, `"sync"`,
	`"int"`, `"enum"`, `"text"`, `"date"`, `"array"`, `"struct"`, `{}`, `[]`, `[1]`, `["a"]`, `{"1":"x"}`, `{"x":"y"}`, `{"-1":2}`,
	`{"type":"int"}`, `{"type":"text","specs":{"length":"12"}}`, `{"size":"3","item":{"type":"int"}}`, `{"size":1.5,"item":{"type":"bool"}}`,
	`{"type":"array","specs":{"size":3,"item":{"type":"struct","specs":[]}}}`, `{"type":"date","specs":7}`,
	`"` + strings.Repeat("a", 50) + `"`, `"` + strings.Repeat("a", 51) + `"`, `"` + strings.Repeat("a", 102) + `"`,
}

// mutate changes one thing somewhere in a value.
func mutate(t *rapid.T, v any) any {
	if rapid.IntRange(0, 3).Draw(t, "here") == 0 {
		return decoded(rapid.SampledFrom(wrong).Draw(t, "value"))
	}
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v)+4)
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		names = append(names, "specs", "type", "required", "inputData")
		name := rapid.SampledFrom(names).Draw(t, "member")
		if rapid.IntRange(0, 5).Draw(t, "drop") == 0 {
			delete(v, name)
			return v
		}
		v[name] = mutate(t, v[name])
		return v
	case []any:
		if len(v) > 0 {
			i := rapid.IntRange(0, len(v)-1).Draw(t, "item")
			v[i] = mutate(t, v[i])
			return v
		}
	}
	return decoded(rapid.SampledFrom(wrong).Draw(t, "value"))
}

func decoded(text string) any {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

// TestShapeAgrees holds the checks in Go against the schema that is published.
func TestShapeAgrees(t *testing.T) {
	s := schema(t, tsl.DocumentSchema(), nil)
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	good, bad := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		raw, err := os.ReadFile(rapid.SampledFrom(files).Draw(t, "file"))
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.IndexByte(raw, '{'); i > 0 { // a list of documents
			raw = raw[i:]
		}
		var first json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&first); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			v := decoded(string(first))
			for range rapid.IntRange(0, 2).Draw(t, "times") {
				v = mutate(t, v)
			}
			document, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			problems, err := tsl.Shape(document)
			want := accepts(s, string(document))
			if err != nil || (len(problems) == 0) != want {
				t.Fatalf("%s: %v, %v, the schema accepts: %v", document, problems, err, want)
			}
			for _, p := range problems {
				if p.Rule == "" || p.Message == "" || p.Pointer != "" && p.Pointer[0] != '/' {
					t.Fatalf("%+v", p)
				}
			}
			if want {
				good++
			} else {
				bad++
			}
		}
	})
	if good < 300 || bad < 300 {
		t.Errorf("%d good and %d bad documents", good, bad)
	}
}
