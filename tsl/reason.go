// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"fmt"
	"strconv"
	"strings"
)

// Reason is why a value is not accepted.
type Reason struct {
	Pointer string // of the value inside what was judged, as a JSON pointer (RFC 6901)
	Rule    string // the rule it breaks, a stable word
	Message string
}

// String says where and what.
func (r *Reason) String() string {
	return fmt.Sprintf("%s: %s (%s)", r.Pointer, r.Message, r.Rule)
}

// within puts a reason below a member or element.
func (r *Reason) within(name string) *Reason {
	r.Pointer = pointer(name) + r.Pointer
	return r
}

// pointer is a name as a step of a JSON pointer.
func pointer(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func expected(what string) *Reason { return &Reason{"", "type", what + " is expected"} }

func broken() *Reason { return &Reason{"", "json", "not JSON"} }
