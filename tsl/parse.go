// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Problem is one thing wrong with a document.
type Problem struct {
	Pointer string // JSON pointer of where (RFC 6901)
	Rule    string // the rule it breaks, a stable word; else the keyword of the schema
	Message string
}

// String says where and what.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s (%s)", p.Pointer, p.Message, p.Rule)
}

// ModelError is a model that breaks rules: all of them.
type ModelError struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *ModelError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = "tsl: " + p.String()
	}
	return strings.Join(lines, "\n")
}

// maxDocument is the largest document read, in bytes. A full model of 200
// features has about 200 KB.
const maxDocument = 2 << 20

// Parse reads a TSL document and checks it: its shape against a JSON Schema (see
// DocumentSchema), then the rules and limits of Model.Check. Bytes that are no
// JSON, or too many, are an error with a prefix; everything else that is wrong
// comes back together, as a *ModelError.
func Parse(document []byte) (*Model, error) {
	if len(document) > maxDocument {
		return nil, fmt.Errorf("tsl: document: %d bytes, at most %d", len(document), maxDocument)
	}
	found, err := shape(document)
	if err != nil {
		return nil, fmt.Errorf("tsl: document: %w", err)
	}
	var m Model
	if err := json.Unmarshal(document, &m); err != nil {
		if len(found) > 0 {
			return nil, &ModelError{found}
		}
		return nil, fmt.Errorf("tsl: document: %w", err)
	}
	var rules *ModelError
	err = m.Check()
	errors.As(err, &rules)
	if rules != nil {
		return nil, &ModelError{merge(rules.Problems, found)}
	}
	if len(found) > 0 {
		return nil, &ModelError{found}
	}
	return &m, nil
}

// ParseAll reads a TSL document, or a JSON array of them: a product's own model
// first, then its function blocks, which are joined to it. Errors are those of
// Parse and Join, with the place in the array before their text.
func ParseAll(documents []byte) (*Model, error) {
	if i := space(documents, 0); i == len(documents) || documents[i] != '[' {
		return Parse(documents)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(documents, &list); err != nil {
		return nil, fmt.Errorf("tsl: documents: %w", err)
	}
	if len(list) == 0 || len(list) > MaxBlocks {
		return nil, fmt.Errorf("tsl: %d documents, 1 to %d are allowed", len(list), MaxBlocks)
	}
	models := make([]*Model, len(list))
	for i, raw := range list {
		m, err := Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("tsl: document %d: %w", i, err)
		}
		models[i] = m
	}
	return Join(models[0], models[1:]...)
}
