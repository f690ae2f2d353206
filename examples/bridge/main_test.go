// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := `truck: Latitude is 30.25
truck: Longitude is 120.15
truck: Speed is 62.5
the truck shows "turn left"
boiler: Temperature is 61.5
boiler: Target is 60
the boiler heats to 65
panel: SystemFire is 1
the guard has 5 minutes to answer
`
	if out.String() != want {
		t.Errorf("said\n%s", out.String())
	}
}
