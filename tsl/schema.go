// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

//go:embed schema.json
var schemaText []byte

// DocumentSchema returns the JSON Schema (2020-12) Parse holds documents to, for
// editors and other programs. The slice is the caller's.
func DocumentSchema() []byte { return bytes.Clone(schemaText) }

// documentSchema is compiled when the first document is parsed.
var documentSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	if err := c.AddResource("tsl.json", bytes.NewReader(schemaText)); err != nil {
		return nil, err
	}
	return c.Compile("tsl.json")
})

// shape holds a document to the schema and returns what it breaks.
func shape(document []byte) ([]Problem, error) {
	s, err := documentSchema()
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	err = s.Validate(v)
	if err == nil {
		return nil, nil
	}
	e, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // Validate returns it as it is
	if !ok {
		return nil, err
	}
	return leaves(e, nil), nil
}

// leaves collects the innermost causes.
func leaves(e *jsonschema.ValidationError, list []Problem) []Problem {
	if len(e.Causes) == 0 {
		rule := e.KeywordLocation[strings.LastIndexByte(e.KeywordLocation, '/')+1:]
		return append(list, Problem{e.InstanceLocation, rule, e.Message})
	}
	for _, c := range e.Causes {
		list = leaves(c, list)
	}
	return list
}

// merge adds to what the rules found what only the schema found: a fault both see
// is told in the words of the rule.
func merge(rules, schema []Problem) []Problem {
	for _, p := range schema {
		same := func(r Problem) bool {
			return strings.HasPrefix(r.Pointer, p.Pointer) || strings.HasPrefix(p.Pointer, r.Pointer) && r.Pointer != ""
		}
		if !slices.ContainsFunc(rules, same) {
			rules = append(rules, p)
		}
	}
	return rules
}
