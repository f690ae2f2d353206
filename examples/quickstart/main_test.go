// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

func TestQuickstart(t *testing.T) {
	start := time.Now()
	if err := run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v, promised are 5s", took)
	}
}
