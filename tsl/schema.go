// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
)

//go:embed schema.json
var schemaText []byte

// DocumentSchema returns the JSON Schema (2020-12) Parse holds documents to, for
// editors and other programs. The slice is the caller's.
func DocumentSchema() []byte { return bytes.Clone(schemaText) }

// shape holds a document to the schema and returns what it breaks. It is the schema
// written as Go: an engine that reads schemas would make firmware a tenth larger.
func shape(document []byte) ([]Problem, error) {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	s := &shaper{}
	s.document("", v)
	return s.problems, nil
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
