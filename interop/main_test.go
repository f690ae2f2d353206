// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What TestMain builds once.
var (
	hubdProgram   string // examples/hubd
	deviceProgram string // cmd/device
	certificates  tlsFiles
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) (err error) {
	hubdProgram, deviceProgram = filepath.Join(dir, "hubd"), filepath.Join(dir, "device")
	for program, source := range map[string]string{hubdProgram: filepath.Join("..", "examples", "hubd"), deviceProgram: "cmd/device"} {
		cmd := exec.Command("go", "build", "-o", program, ".")
		cmd.Dir = source
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", source, err, out)
		}
	}
	certificates, err = newCertificates(dir)
	return err
}
