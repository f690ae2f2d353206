// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		`the web server gets {"device":"sensor-1","room":"hall","t":41.5} from rule alarm`,
		`fan-1 hears on /a1Climate01/fan-1/user/get: {"fan":"fan-1","speed":3}`,
		`items.Temperature.value > 38 is false: items.Temperature.value is 21.5`,
		`rule archive: 3 matched`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, &out)
		}
	}
}
