// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Step is how far a device is: the percentage it downloaded, or why it failed
// (wire facts section 13.1). On the wire it is a string.
type Step int8

// The failures.
const (
	UpgradeFailed  Step = -1
	DownloadFailed Step = -2
	VerifyFailed   Step = -3
	BurnFailed     Step = -4
)

// Failed reports whether s is one of the documented failures.
func (s Step) Failed() bool { return s <= UpgradeFailed && s >= BurnFailed }

// MarshalJSON writes the step as a string.
func (s Step) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, strconv.Itoa(int(s))), nil
}

// UnmarshalJSON takes a string or a number from -4 to 100.
func (s *Step) UnmarshalJSON(b []byte) error {
	text := string(bytes.Trim(b, `"`))
	n, err := strconv.Atoi(text)
	if err != nil || n < int(BurnFailed) || n > 100 {
		return fmt.Errorf("%w: step %.20q", ErrMessage, b)
	}
	*s = Step(n)
	return nil
}

var _ json.Unmarshaler = (*Step)(nil)
