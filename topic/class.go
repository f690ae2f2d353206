// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"
)

// MaxClasses is how many topic classes a product may have (wire facts, section
// 22).
const MaxClasses = 50

// Class is a topic class of a product: a shape of custom topics and what the
// product's devices may do to them.
type Class struct {
	// Suffix is what follows /{pk}/{dn}/: "user/update". A level may be "+", the
	// last one may be "#", and the level "${deviceName}" stands for the device's
	// own name.
	Suffix    string    `json:"suffix"`
	Operation Operation `json:"operation"`
}

const ownName = "${deviceName}"

// DefaultClasses returns the classes a new product has: the three of the first
// documents and their user/ forms (wire facts, section 9).
func DefaultClasses() []Class {
	return []Class{
		{"update", Pub},
		{"update/error", Pub},
		{"get", Sub},
		{"user/update", Pub},
		{"user/update/error", Pub},
		{"user/get", Sub},
	}
}

// Check reports what is wrong with a class. The error wraps ErrBadClass.
func (c Class) Check() error {
	if c.Operation == 0 || c.Operation&^All != 0 {
		return fmt.Errorf("%w: %.128q has operation %d", ErrBadClass, c.Suffix, uint8(c.Operation))
	}
	if c.Suffix == "" || c.Suffix[0] == '/' {
		return fmt.Errorf("%w: suffix %.128q begins with nothing or a slash", ErrBadClass, c.Suffix)
	}
	if err := CheckFilter(c.Suffix); err != nil {
		return fmt.Errorf("%w: %w", ErrBadClass, err)
	}
	if what := oversized(c.Suffix); what != "" {
		return fmt.Errorf("%w: %s: %.256q", ErrBadClass, what, c.Suffix)
	}
	return nil
}

// literal reports whether the class is one topic, the same for every device but
// for pk and dn.
func (c Class) literal() bool {
	return !hasWildcard(c.Suffix) && !strings.Contains(c.Suffix, ownName)
}

// match reports whether suffix, below the device called dn, is of class c.
func (c Class) match(dn, suffix string) bool {
	filter := c.Suffix
	for {
		if filter == "#" {
			return true
		}
		f, fRest, fMore := strings.Cut(filter, "/")
		s, sRest, sMore := strings.Cut(suffix, "/")
		if f != s && f != "+" && (f != ownName || s != dn) {
			return false
		}
		switch {
		case fMore && sMore:
			filter, suffix = fRest, sRest
		case fMore:
			return fRest == "#"
		default:
			return !sMore
		}
	}
}
