// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// npmModules is where npm ci puts the SDKs.
const npmModules = "npm/node_modules"

// missing skips a test whose peer is not there, and fails it in CI.
func missing(t *testing.T, what, install string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("SKIPPED, %s IS MISSING: %s", what, install)
}

func needProgram(t *testing.T, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name, install)
	}
	return path
}

// needNPM returns node, and makes sure that the named version of an SDK is there.
func needNPM(t *testing.T, sdk, version string) string {
	t.Helper()
	node := needProgram(t, "node", "install node 18 or newer")
	var got struct{ Version string }
	text, err := os.ReadFile(filepath.Join(npmModules, sdk, "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil || got.Version != version {
		missing(t, "npm package "+sdk+" "+version, "cd interop/npm && npm ci --ignore-scripts")
	}
	return node
}

// needPaho returns a Python that has paho-mqtt. Debian's is asked first: another
// one in front of it on PATH knows nothing of Debian's packages.
func needPaho(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import paho.mqtt.client").Run() == nil {
			return python
		}
	}
	missing(t, "paho-mqtt for Python", "apt-get install python3-paho-mqtt")
	return ""
}

// peerConfig is what a client program is told of itself.
type peerConfig struct {
	ProductKey   string `json:"productKey"`
	DeviceName   string `json:"deviceName"`
	DeviceSecret string `json:"deviceSecret"`
	URL          string `json:"url"`
	CA           string `json:"ca"`
	KeepAlive    int    `json:"keepAlive,omitempty"`
	Level        int    `json:"level,omitempty"`
	Keep         bool   `json:"keep,omitempty"`
}

// event is a line a client program prints.
type event struct {
	Event, Do, Name, Topic, Payload, Text string
	Code                                  int
	Resumed                               bool
	Body                                  json.RawMessage
}

func (e event) decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// peer is a running client program that takes orders.
type peer struct {
	t      *testing.T
	cmd    *exec.Cmd
	orders io.WriteCloser
	events chan event
	log    *lockedBuffer
}

// startPeer runs a client program as d against url until the test ends.
func startPeer(t *testing.T, d device, cfg peerConfig, program ...string) *peer {
	t.Helper()
	cfg.ProductKey, cfg.DeviceName = d.id.Product, d.id.Name
	if cfg.DeviceSecret == "" {
		cfg.DeviceSecret = d.secret.Reveal()
	}
	if cfg.CA == "" {
		cfg.CA = certificates.ca
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program[0], append(program[1:], string(text))...)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+certificates.ca)
	p := &peer{t: t, cmd: cmd, events: make(chan event, 256), log: &lockedBuffer{}}
	cmd.Stderr = p.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.orders, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, cmd, p.log)
	go p.read(out)
	return p
}

func (p *peer) read(out io.Reader) {
	defer close(p.events)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		_, _ = p.log.Write(append(lines.Bytes(), '\n'))
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event != "" {
			p.events <- e
		}
	}
}

// order tells the client to do something.
func (p *peer) order(t *testing.T, o object) {
	t.Helper()
	if err := json.NewEncoder(p.orders).Encode(o); err != nil {
		t.Fatal(err)
	}
}

// kill ends the client at once, as a power cut does.
func (p *peer) kill() { _ = p.cmd.Process.Kill() }

// want returns the next event of a kind; others before it are passed over.
func (p *peer) want(t *testing.T, kind string) event {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-p.events:
			switch {
			case !ok:
				t.Fatalf("the client ended before it told %q", kind)
			case e.Event == kind:
				return e
			}
		case <-timeout:
			t.Fatalf("the client did not tell %q within 20 s", kind)
		}
	}
}

// ask gives an order and returns the platform's answer as the client got it.
func (p *peer) ask(t *testing.T, o object) (a answer) {
	t.Helper()
	p.order(t, o)
	e := p.want(t, "answer")
	if e.Do != o["do"] {
		t.Fatalf("answer to %q, want to %q", e.Do, o["do"])
	}
	if err := json.Unmarshal(e.Body, &a); err != nil {
		t.Fatalf("answer %s: %v", e.Body, err)
	}
	return a
}
