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

// Error says where and what.
func (p Problem) Error() string {
	return fmt.Sprintf("tsl: %s: %s (%s)", p.Pointer, p.Message, p.Rule)
}

// Problems are all things wrong with a document, in its order.
type Problems []Problem

// Error lists the problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a TSL document and checks it. Bytes that are no JSON of the right
// shape are an error of encoding/json with a prefix; everything else that is
// wrong comes back together, as Problems.
func Parse(document []byte) (*Model, error) {
	var m Model
	if err := json.Unmarshal(document, &m); err != nil {
		return nil, fmt.Errorf("tsl: document: %w", err)
	}
	if p := m.Check(); len(p) > 0 {
		return nil, p
	}
	return &m, nil
}
