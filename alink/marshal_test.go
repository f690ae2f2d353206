// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"encoding/json"
	"testing"

	"github.com/openalink/iot/alink"
)

func TestMarshal(t *testing.T) {
	got, err := alink.Marshal(map[string]any{"a": "<&>", "b": json.RawMessage(`{ "c" : [ 1, 2 ] }`)})
	if want := `{"a":"<&>","b":{"c":[1,2]}}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if _, err := alink.Marshal(func() {}); err == nil {
		t.Error("a function has no JSON")
	}
}
