// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"encoding/json"
)

// marshal is json.Marshal without HTML escapes, which device parsers cannot undo.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var out bytes.Buffer // raw messages inside v may bring blanks
	if err := json.Compact(&out, buf.Bytes()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
