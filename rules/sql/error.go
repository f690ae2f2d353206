// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is why a text is not a statement.
type Error struct {
	Line, Column int    // from 1; columns count characters
	Message      string // what is wrong
	Hint         string // what to write instead; may be empty
}

// Error says where, what and the hint.
func (e *Error) Error() string {
	s := fmt.Sprintf("sql: line %d, column %d: %s", e.Line, e.Column, e.Message)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// fault is an Error before its offset is turned into line and column.
type fault struct {
	at      int
	message string
	hint    string
}

func (f *fault) Error() string { return f.message }

func faultf(at int, hint, format string, args ...any) *fault {
	return &fault{at, fmt.Sprintf(format, args...), hint}
}

// locate finds the line and column of byte at.
func (f *fault) locate(text string) *Error {
	at := min(f.at, len(text))
	before := text[:at]
	line := strings.Count(before, "\n") + 1
	before = before[strings.LastIndexByte(before, '\n')+1:]
	return &Error{line, utf8.RuneCountInString(before) + 1, f.message, f.hint}
}
