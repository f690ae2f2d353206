// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"bytes"
	"math"

	"github.com/tidwall/gjson"
)

// Request is a message on /shadow/update.
type Request struct {
	Method string // update, get or delete
	// Version is the version the sender gives; HasVersion tells that it did.
	Version    int64
	HasVersion bool
	// Token is the sender's clientToken as JSON, repeated in the answer; empty
	// without one (wire facts section 1 row 26).
	Token string

	state, reported, desired gjson.Result
	replace                  bool // desired is replaced, not merged
	weight                   int  // bytes the request keeps in memory
}

// Update is an application's request to merge a JSON object into desired; null
// clears it.
func Update(desired []byte) (*Request, error) {
	return desire(desired, false)
}

// Replace is an application's request to make a JSON object all that is desired.
func Replace(desired []byte) (*Request, error) {
	return desire(desired, true)
}

func desire(desired []byte, replace bool) (*Request, error) {
	// On its own first: what closes the object around it would change its meaning.
	if nesting(desired) > maxNesting || !gjson.ValidBytes(desired) {
		return nil, refuse(BadJSON, "desired is not JSON")
	}
	payload := append([]byte(`{"method":"update","state":{"desired":`), desired...)
	r, err := ParseRequest(append(payload, '}', '}'))
	if err != nil {
		return nil, err
	}
	r.replace = replace
	return r, nil
}

// At makes the request one with a version. It changes r, so that a request that
// many goroutines carry out needs it before.
func (r *Request) At(version int64) *Request {
	r.Version, r.HasVersion = version, true
	return r
}

// maxNesting bounds the depth of a request before anything recursive reads it.
const maxNesting = 64

// maxVersion is the largest version: beyond it a JSON number is not exact
// everywhere.
const maxVersion = 1 << 53

// ParseRequest reads a request. The request keeps parts of a copy of payload. The
// error is an *Error with code 400, 401, 403, 406 or 407; the request is not nil
// then if it has a token to repeat in the answer.
//
// One defect of real firmware is mended before: doubled and trailing commas
// (wire facts section 1 row 24).
func ParseRequest(payload []byte) (*Request, error) {
	payload = bytes.TrimRight(payload, "\x00 \r\n\t")
	if len(payload) == 0 {
		return nil, refuse(EmptyDocument, "the document is empty")
	}
	if nesting(payload) > maxNesting {
		return nil, refuse(BadJSON, "the document is nested too deep")
	}
	if !gjson.ValidBytes(payload) {
		if payload = mendCommas(payload); !gjson.ValidBytes(payload) {
			return nil, refuse(BadJSON, "the document is not JSON")
		}
	}
	root := gjson.ParseBytes(payload)
	if !root.IsObject() {
		return nil, refuse(BadJSON, "the document is not an object")
	}
	return newRequest(root)
}

func newRequest(root gjson.Result) (*Request, error) {
	r := &Request{}
	var method, version gjson.Result
	members := 0
	root.ForEach(func(key, value gjson.Result) bool {
		members++
		switch key.Str {
		case "method":
			method = value
		case "state":
			r.state = value
		case "version":
			version = value
		case "clientToken":
			r.Token = value.Raw
		}
		return true
	})
	r.weight = len(root.Raw)
	if err := r.head(members, method, version); err != nil {
		return r, err
	}
	r.reported, r.desired = r.state.Get("reported"), r.state.Get("desired")
	return r, nil
}

// head takes what says which request it is.
func (r *Request) head(members int, method, version gjson.Result) error {
	switch {
	case members == 0:
		return refuse(EmptyDocument, "the document is empty")
	case method.Type != gjson.String || method.Str == "":
		return refuse(NoMethod, "method is missing")
	case method.Str != "update" && method.Str != "get" && method.Str != "delete":
		return refuse(UnknownMethod, "method is none of update, get and delete")
	case version.Exists() && !isVersion(version):
		return refuse(BadVersion, "version is not a whole number")
	}
	r.Method = method.Str
	r.Version, r.HasVersion = version.Int(), version.Exists()
	return nil
}

func isVersion(v gjson.Result) bool {
	return v.Type == gjson.Number && v.Num == math.Trunc(v.Num) && math.Abs(v.Num) <= maxVersion
}

// nesting is how deep brackets nest outside strings.
func nesting[T []byte | string](b T) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// mendCommas drops commas before another comma or a closing bracket, outside of
// strings.
func mendCommas(b []byte) []byte {
	out := make([]byte, 0, len(b))
	quoted := false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '\\' && quoted && i+1 < len(b):
			out = append(out, c)
			i++
			c = b[i]
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			rest := bytes.TrimLeft(b[i+1:], " \r\n\t")
			if len(rest) > 0 && (rest[0] == ',' || rest[0] == '}' || rest[0] == ']') {
				continue
			}
		}
		out = append(out, c)
	}
	return out
}
