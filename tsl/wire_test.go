// SPDX-License-Identifier: Apache-2.0

package tsl_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/openalink/iot/tsl"
)

func TestWireTypes(t *testing.T) {
	type values struct {
		On tsl.Bit
		At tsl.Moment
	}
	in := values{true, tsl.Moment{Time: time.UnixMilli(1524448722000).UTC()}}
	raw, err := json.Marshal(in)
	if err != nil || string(raw) != `{"On":1,"At":"1524448722000"}` {
		t.Fatalf("%s, %v", raw, err)
	}
	var out values
	if err := json.Unmarshal(raw, &out); err != nil || out != in {
		t.Errorf("%+v, %v", out, err)
	}
	if raw, err = json.Marshal(values{}); err != nil || string(raw) != `{"On":0,"At":"0"}` {
		t.Errorf("%s, %v", raw, err)
	}
	for _, bad := range []string{`{"On":2}`, `{"On":"1"}`, `{"At":"soon"}`, `{"At":true}`} {
		if json.Unmarshal([]byte(bad), &out) == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
