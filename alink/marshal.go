// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"bytes"
	"encoding/json"
)

// Marshal is json.Marshal for messages: compact, and without the HTML escapes
// that parsers on devices cannot undo (wire facts, section 1 row 44). Raw
// messages inside v lose their blanks. The error is that of encoding/json.
func Marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
