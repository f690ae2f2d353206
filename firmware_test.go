// SPDX-License-Identifier: Apache-2.0

package iot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// firmwareMost is how large firmware with one transport may be, for linux/arm,
// stripped and without inlining.
const firmwareMost = 6 << 20

// TestFirmware builds a small program for each transport: it must fit, and bring no
// other transport and nothing of the server's with it.
func TestFirmware(t *testing.T) {
	for _, f := range []struct {
		transport string
		tags      string   // of the build
		modules   []string // of others that it needs
	}{
		{"mqtt", "", []string{"github.com/eclipse/paho.mqtt.golang", "github.com/gorilla/websocket", "golang.org/x/"}},
		{"https", "nethttpomithttp2", nil},
		{"http2", "", nil},
		{"coap", "", []string{"github.com/pion/", "github.com/plgd-dev/", "golang.org/x/"}},
	} {
		t.Run(f.transport, func(t *testing.T) {
			program := "./testdata/firmware/" + f.transport
			checkDeps(t, program, "hal/"+f.transport, f.modules)
			out := filepath.Join(t.TempDir(), f.transport)
			build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-gcflags=all=-l", "-tags="+f.tags, "-o", out, program)
			build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm", "CGO_ENABLED=0")
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build: %v\n%s", err, text)
			}
			info, err := os.Stat(out)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.2f MB", float64(info.Size())/1e6)
			if info.Size() > firmwareMost {
				t.Errorf("%d bytes, at most %d", info.Size(), firmwareMost)
			}
		})
	}
}

// checkDeps holds what a program imports to what a device needs.
func checkDeps(t *testing.T, program, transport string, modules []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", program).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	ours := []string{
		".", "auth", "topic", "store", "hal", "alink", "tsl", "ota", "shadow", "device", "internal/inbox", "internal/single", "internal/durable", transport, program[len("./"):], "testdata/firmware/lamp",
	}
	modules = append([]string{"github.com/tidwall/"}, modules...)
	for dep := range strings.FieldsSeq(string(out)) {
		if name, ok := local(dep); ok && !slices.Contains(ours, name) {
			t.Errorf("firmware imports %s", name)
		} else if !ok && !slices.ContainsFunc(modules, func(m string) bool { return strings.HasPrefix(dep, m) }) {
			t.Errorf("firmware imports %s", dep)
		}
	}
}
