// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"fmt"
	"strconv"
	"time"
)

// Bit is a value of type bool in Go code: on the wire it is 0 or 1.
type Bit bool

// MarshalJSON writes 0 or 1.
func (b Bit) MarshalJSON() ([]byte, error) {
	if b {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// UnmarshalJSON reads 0, 1, false or true.
func (b *Bit) UnmarshalJSON(raw []byte) error {
	switch string(raw) {
	case "1", "true":
		*b = true
	case "0", "false":
		*b = false
	default:
		return fmt.Errorf("tsl: %.20q is not 0 or 1", raw)
	}
	return nil
}

// Moment is a value of type date in Go code: on the wire it is the text of epoch
// milliseconds. The zero Moment is the beginning of the epoch.
type Moment struct{ time.Time }

// MarshalJSON writes the milliseconds in quotes.
func (d Moment) MarshalJSON() ([]byte, error) {
	ms := int64(0)
	if !d.IsZero() {
		ms = d.UnixMilli()
	}
	return strconv.AppendQuote(nil, strconv.FormatInt(ms, 10)), nil
}

// UnmarshalJSON reads milliseconds, in quotes or without.
func (d *Moment) UnmarshalJSON(raw []byte) error {
	if n := len(raw); n > 1 && raw[0] == '"' && raw[n-1] == '"' {
		raw = raw[1 : n-1]
	}
	if !isMillis(raw) {
		return fmt.Errorf("tsl: %.20q is no time in milliseconds", raw)
	}
	ms, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return fmt.Errorf("tsl: %w", err)
	}
	d.Time = time.UnixMilli(ms).UTC()
	return nil
}
