// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"testing/synctest"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := run(t.Context(), &out, 60); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), "60 sub-devices are online") || !strings.Contains(out.String(), "\nall are back") {
			t.Errorf("said %q", out.String())
		}
	})
}
