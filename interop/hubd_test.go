// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// The fleet every hubd of the tests is provisioned with.
const (
	productKey = "a1Interop01"
	apiKey     = "interop-key"
)

// device is a registered device.
type device struct {
	id     iot.DeviceID
	secret auth.Secret
}

func (d device) topic(suffix string) string { return "/" + d.id.String() + "/" + suffix }
func (d device) sys(path string) string     { return "/sys/" + d.id.String() + "/" + path }

var (
	lamp  = device{iot.DeviceID{Product: productKey, Name: "lamp"}, auth.NewSecret("5f2c8b1e9a7d4c3fb0e6d1a2c4f80719")}
	other = device{iot.DeviceID{Product: productKey, Name: "other"}, auth.NewSecret("0719c4f80e6d1a2b9a7d4c3f5f2c8b1e")}
)

// hubd is a running examples/hubd.
type hubd struct {
	api
	addrs map[string]string // by name of the listener
	log   *lockedBuffer
	cmd   *exec.Cmd
	stop  func() // SIGTERM, once, and waits
}

// startHubd runs hubd with an empty store and the fleet until the test ends. args
// come behind the usual ones and outdo them.
func startHubd(t *testing.T, args ...string) *hubd {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(hubdProgram, append([]string{
		"-data", filepath.Join(dir, "data"), "-provision", writeFleet(t, dir), "-api-key", apiKey, "-limits", "none",
		"-any", "127.0.0.1:0", "-mqtt", "127.0.0.1:0", "-mqtts", "127.0.0.1:0", "-ws", "127.0.0.1:0",
		"-wss", "127.0.0.1:0", "-https", "127.0.0.1:0", "-http", "127.0.0.1:0", "-tls-cert", certificates.cert, "-tls-key", certificates.key,
	}, args...)...)
	h := &hubd{addrs: map[string]string{}, log: &lockedBuffer{}, cmd: cmd}
	cmd.Stderr = h.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.stop = stopAtEnd(t, cmd, h.log)
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		if w := strings.Fields(lines.Text()); len(w) == 3 && w[0] == "listening" {
			h.addrs[w[1]] = w[2]
		}
	}
	if lines.Text() != "ready" {
		t.Fatal("hubd ended before it was ready")
	}
	go func() { // whatever else it prints
		for lines.Scan() {
			_, _ = h.log.Write(append(lines.Bytes(), '\n'))
		}
	}()
	h.api = api{t: t, base: "http://" + h.addrs["http"] + "/api/v1"}
	return h
}

// stopAtEnd ends a program with SIGTERM when the test ends, or when stop is
// called, and shows what it said if the test failed.
func stopAtEnd(t *testing.T, cmd *exec.Cmd, log *lockedBuffer) (stop func()) {
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if !kill.Stop() {
			t.Errorf("%s did not end within 10 s of SIGTERM: %v", filepath.Base(cmd.Path), err)
		}
		if cmd.ProcessState.ExitCode() > 0 { // below zero: ended by the signal
			t.Errorf("%s: %v", filepath.Base(cmd.Path), err)
		}
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(cmd.Path), log)
		}
	})
	return stop
}

func writeFleet(t *testing.T, dir string) string {
	t.Helper()
	type entry map[string]any
	var devices []entry
	for _, d := range []device{lamp, other} {
		devices = append(devices, entry{"productKey": d.id.Product, "deviceName": d.id.Name, "deviceSecret": d.secret.Reveal()})
	}
	text, err := json.Marshal(entry{
		"products": []entry{{"productKey": productKey, "name": "lamps"}},
		"devices":  devices,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "fleet.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// urls are the ways into a hubd by transport, as clients of others write them.
func (h *hubd) url(transport string) string {
	switch transport {
	case "tcp":
		return "mqtt://" + h.addrs["mqtt"]
	case "tls":
		return "mqtts://" + h.addrs["mqtts"]
	case "ws":
		return "ws://" + h.addrs["ws"] + "/mqtt"
	case "wss":
		return "wss://" + h.addrs["wss"] + "/mqtt"
	case "any":
		return "mqtt://" + h.addrs["any"]
	case "any-tls":
		return "mqtts://" + h.addrs["any"]
	case "any-ws":
		return "ws://" + h.addrs["any"] + "/mqtt"
	case "any-wss":
		return "wss://" + h.addrs["any"] + "/mqtt"
	}
	panic("unknown transport " + transport)
}

// lockedBuffer collects what a program prints while the test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
