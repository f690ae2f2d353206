// SPDX-License-Identifier: Apache-2.0

package define

import (
	"encoding/json"
	"net/url"
	"strings"
)

// hidden stands for what is not shown.
const hidden = "***"

// redacted is a definition as it may be shown: passwords, tokens and keys of its
// actions are hidden.
func redacted(d Definition) Definition {
	actions := make([]json.RawMessage, len(d.Actions))
	for i, raw := range d.Actions {
		actions[i] = redact(raw)
	}
	d.Actions = actions
	if len(d.OnError) > 0 {
		d.OnError = redact(d.OnError)
	}
	return d
}

func redact(raw json.RawMessage) json.RawMessage {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	out, err := json.Marshal(cover("", v))
	if err != nil {
		return nil
	}
	return out
}

// cover goes through a document.
func cover(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = cover(k, member)
		}
	case []any:
		for i := range v {
			v[i] = cover(name, v[i])
		}
	case string:
		if secretive(name) {
			return hidden
		}
		if u, err := url.Parse(v); err == nil && u.User != nil {
			return u.Redacted()
		}
		if strings.Contains(strings.ToLower(v), "password=") { // of a connection string
			return hidden
		}
	}
	return v
}

// secretive reports whether a member of that name holds what must not be shown.
func secretive(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"token", "password", "secret", "authorization", "cookie", "key"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
