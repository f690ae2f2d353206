// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Problem is one thing wrong with a document.
type Problem struct {
	Pointer string // JSON pointer of where (RFC 6901)
	Rule    string // the rule it breaks, a stable word
	Message string
}

// String says where and what.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s (%s)", p.Pointer, p.Message, p.Rule)
}

// ModelError is a model that breaks rules: all of them, in the document's order.
type ModelError struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *ModelError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = "tsl: " + p.String()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a TSL document and checks it. Bytes that are no JSON of the right
// shape are an error of encoding/json with a prefix; everything else that is
// wrong comes back together, as a *ModelError.
func Parse(document []byte) (*Model, error) {
	var m Model
	if err := json.Unmarshal(document, &m); err != nil {
		return nil, fmt.Errorf("tsl: document: %w", err)
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	return &m, nil
}
