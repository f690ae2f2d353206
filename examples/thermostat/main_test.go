// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// TestThermostat wants both ends to say what the README shows.
func TestThermostat(t *testing.T) {
	old := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	err = run(t.Context())
	os.Stdout = old
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/output.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("printed\n%s\nwant\n%s", got.Bytes(), want)
	}
}

// TestGenerated wants the generated file to be what go generate makes of the model.
func TestGenerated(t *testing.T) {
	got, err := exec.CommandContext(t.Context(), "go", "run", "../../tsl/tslgen", "-in", "thermostat/model.json", "-pkg", "thermostat", "-out", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("thermostat/zthermostat.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("zthermostat.go is stale: run go generate ./...")
	}
}
