// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CheckFilter reports whether a filter is legal: 1 to MaxBytes bytes of UTF-8
// without NUL, '+' only as a whole level, '#' only as the whole last level (MQTT
// 3.1.1 sections 4.7.1 and 4.7.3). The error wraps ErrBadTopic.
func CheckFilter(filter string) error {
	switch {
	case filter == "":
		return fmt.Errorf("%w: empty filter", ErrBadTopic)
	case len(filter) > MaxBytes:
		return fmt.Errorf("%w: filter longer than %d bytes: %.128q", ErrBadTopic, MaxBytes, filter)
	case strings.IndexByte(filter, 0) >= 0:
		return fmt.Errorf("%w: NUL byte in filter %.128q", ErrBadTopic, filter)
	case !utf8.ValidString(filter):
		return fmt.Errorf("%w: filter is not UTF-8: %.128q", ErrBadTopic, filter)
	}
	for rest, more := filter, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if len(level) > 1 && hasWildcard(level) {
			return fmt.Errorf("%w: wildcard beside other characters in filter %.128q", ErrBadTopic, filter)
		}
		if level == "#" && more {
			return fmt.Errorf("%w: '#' is not the last level of filter %.128q", ErrBadTopic, filter)
		}
	}
	return nil
}

func hasWildcard(s string) bool {
	return strings.IndexByte(s, '+') >= 0 || strings.IndexByte(s, '#') >= 0
}

// Match reports whether a legal filter matches a legal name (MQTT 3.1.1 section
// 4.7): '+' stands for one level, '#' for all that follow and for the level above
// it, and neither for a first level that begins with '$'. It allocates nothing.
//
// Illegal filters do no harm: what is not a whole level, or a '#' that is not the
// last one, stands for itself.
func Match(filter, name string) bool {
	if filter == "" || name == "" {
		return false
	}
	if name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	return matchLevels(filter, name)
}

// matchLevels is Match without the rule about '$'.
func matchLevels(filter, name string) bool {
	for {
		if filter == "#" {
			return true
		}
		f, fRest, fMore := strings.Cut(filter, "/")
		n, nRest, nMore := strings.Cut(name, "/")
		if f != n && f != "+" {
			return false
		}
		switch {
		case fMore && nMore:
			filter, name = fRest, nRest
		case fMore:
			return fRest == "#"
		default:
			return !nMore
		}
	}
}
