// SPDX-License-Identifier: Apache-2.0

// Package party runs the binary of a test a second time, as another process in a
// role, and talks with it in JSON: for tests in which devices must not share
// memory and processors' turns with what they measure.
//
// A package that uses it asks Role in its TestMain.
package party

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

const variable = "IOT_TEST_ROLE"

// Role returns what this process was started as; empty for the test itself.
func Role() string { return os.Getenv(variable) }

// Play is the life of a process in a role, and returns what it is to exit with: f
// hears and tells until in ends. An error is printed.
func Play(f func(in *json.Decoder, out *json.Encoder) error) (code int) {
	if err := f(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Role(), err)
		return 1
	}
	return 0
}

// Party is another process.
type Party struct {
	t   testing.TB
	in  *json.Encoder
	out *json.Decoder
}

// Start runs this binary in a role, until the end of the test or benchmark.
func Start(t testing.TB, role string) *Party {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+role)
	cmd.Stderr = os.Stderr
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // its sign to end
		if t.Failed() {
			_ = cmd.Process.Kill()
		}
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("%s: %v", role, err)
		}
	})
	return &Party{t, json.NewEncoder(in), json.NewDecoder(out)}
}

// Tell sends the process a value.
func (p *Party) Tell(v any) {
	p.t.Helper()
	if err := p.in.Encode(v); err != nil {
		p.t.Fatal(err)
	}
}

// Hear waits for a value from it.
func (p *Party) Hear(v any) {
	p.t.Helper()
	if err := p.out.Decode(v); err != nil {
		p.t.Fatal(err)
	}
}
