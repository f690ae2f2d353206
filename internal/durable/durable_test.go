// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/openalink/iot/internal/durable"
)

func TestWriteIsAllOrNothing(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if n, err := durable.Write(root, "x", "x.tmp", strings.NewReader("old")); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	cut := errors.New("cut")
	half := io.MultiReader(strings.NewReader("ne"), iotest.ErrReader(cut))
	if _, err := durable.Write(root, "x", "x.tmp", half); !errors.Is(err, cut) {
		t.Errorf("Write = %v", err)
	}
	if got, err := root.ReadFile("x"); string(got) != "old" {
		t.Errorf("after half a write: %q, %v", got, err)
	}
	if _, err := root.Stat("x.tmp"); err == nil {
		t.Error("temporary file stays")
	}
	for range 2 {
		if err := durable.Remove(root, "x"); err != nil {
			t.Error(err)
		}
	}
}
