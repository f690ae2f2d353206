// SPDX-License-Identifier: Apache-2.0

package iot_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/openalink/iot"

// layers says what each package may import, tests left out: its own layer's
// neighbours by name, and prefixes of modules. What is not listed may import
// nothing but the standard library. DESIGN.md section 2 is the picture.
var layers = map[string][]string{
	// L0: the standard library only.
	".":     {},
	"topic": {"."},
	"auth":  {"."},
	"store": {"."},
	"hal":   {".", "topic", "auth", "store"},
	// L1
	"alink": {".", "topic", "auth", "hal", "store", "github.com/tidwall/"},
	"tsl":   {".", "topic", "auth", "hal", "store", "alink", "github.com/tidwall/"},
	// L2
	"shadow":       {".", "topic", "auth", "hal", "store", "alink", "tsl", "github.com/tidwall/"},
	"ota":          {".", "topic", "auth", "hal", "store", "alink", "tsl", "internal/durable", "github.com/tidwall/"},
	"store/mem":    {".", "store"},
	"store/bolt":   {".", "store", "go.etcd.io/bbolt", "golang.org/x/sys/"},
	"hal/mqttd":    {".", "topic", "auth", "hal", "store", "internal/mqttwire", "github.com/gorilla/websocket", "golang.org/x/sys/"},
	"hal/mqtt":     {".", "topic", "auth", "hal", "store", "internal/inbox", "github.com/eclipse/paho.mqtt.golang", "github.com/gorilla/websocket", "golang.org/x/"},
	"hal/fileslot": {".", "topic", "auth", "hal", "store", "internal/durable"},
	"hal/mem":      {".", "topic", "auth", "hal", "store", "internal/inbox"},
	"hal/webauth":  {".", "topic", "auth", "hal", "store", "alink", "github.com/tidwall/"},
	"hal/https":    {".", "topic", "auth", "hal", "store", "alink", "internal/inbox", "internal/single", "github.com/tidwall/"},
	"hal/coap":     {".", "topic", "auth", "hal", "store", "alink", "internal/inbox", "internal/single", "github.com/tidwall/", "github.com/pion/", "github.com/plgd-dev/go-coap/v3/message", "github.com/plgd-dev/go-coap/v3/udp/coder", "github.com/plgd-dev/go-coap/v3/pkg/", "golang.org/x/"},
	"hal/dial":     {".", "topic", "auth", "hal", "store", "alink", "internal/inbox", "internal/single", "internal/durable", "hal/coap", "hal/http2", "hal/https", "hal/mqtt", "github.com/tidwall/", "github.com/pion/", "github.com/plgd-dev/go-coap/v3/", "github.com/eclipse/paho.mqtt.golang", "github.com/gorilla/websocket", "golang.org/x/"},
	"hal/webhook":  {".", "topic", "auth", "hal", "store", "alink", "github.com/tidwall/", "github.com/eclipse/paho.mqtt.golang", "github.com/gorilla/websocket", "golang.org/x/"},
	"hal/http2":    {".", "topic", "auth", "hal", "store", "internal/inbox", "internal/durable"},
	"hal/sniff":    {".", "topic", "auth", "hal", "store", "golang.org/x/sys/"},
	// L2, rules
	"rules/sql": {".", "topic", "auth", "hal", "store", "alink", "github.com/tidwall/"},
	"rules":     {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "internal/tokens", "github.com/tidwall/"},
	// L2, sinks of rules
	"rules/webhook":      {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "github.com/tidwall/"},
	"rules/file":         {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "github.com/tidwall/"},
	"rules/database":     {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "github.com/tidwall/"},
	"rules/influx":       {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "github.com/tidwall/"},
	"rules/republish":    {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "github.com/tidwall/"},
	"rules/define":       {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "rules/file", "rules/influx", "rules/republish", "rules/webhook", "github.com/tidwall/"},
	"rules/scene":        {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "github.com/tidwall/"},
	"rules/queue":        {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "internal/tokens", "github.com/tidwall/"},
	"rules/queue/stream": {".", "topic", "auth", "hal", "store", "alink", "tsl", "rules/sql", "rules", "rules/queue", "internal/tokens", "github.com/tidwall/"},
	// L3
	"device":         {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "github.com/tidwall/"},
	"bridge":         {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "device", "github.com/tidwall/"},
	"bridge/jt808":   {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "device", "bridge", "github.com/tidwall/", "golang.org/x/text/"},
	"bridge/gb26875": {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "device", "bridge", "github.com/tidwall/", "golang.org/x/text/"},
	"bridge/modbus":  {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "device", "bridge", "github.com/tidwall/", "github.com/simonvetter/modbus", "github.com/goburrow/serial"},
	// L4
	"hub":            {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "rules", "internal/tokens", "rules/sql", "github.com/tidwall/"},
	"hub/management": {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "rules", "rules/define", "rules/file", "rules/influx", "rules/republish", "rules/webhook", "rules/queue", "rules/queue/stream", "rules/scene", "internal/tokens", "rules/sql", "hub", "github.com/tidwall/", "golang.org/x/time/"},
	"hub/provision":  {".", "topic", "auth", "hal", "store", "alink", "tsl", "shadow", "ota", "internal/durable", "rules", "rules/define", "rules/file", "rules/influx", "rules/republish", "rules/webhook", "rules/queue", "rules/queue/stream", "rules/scene", "internal/tokens", "rules/sql", "hub", "hub/management", "github.com/tidwall/", "golang.org/x/time/"},
	// A program that writes Go for both ends.
	"tsl/tslgen": {".", "topic", "auth", "hal", "store", "alink", "tsl", "github.com/tidwall/"},
	// Not part of the layers' order, held all the same.
	"internal/mqttwire": {},
	"internal/inbox":    {"."},
	"internal/party":    {},
	"internal/single":   {".", "topic", "auth", "hal", "store"},
	"internal/tokens":   {},
	"internal/durable":  {},
}

// open packages may import anything of the module: programs, and what is only
// for tests.
var open = []string{"iottest", "hal/haltest", "store/storetest", "rules/sinktest", "examples/", "internal/"}

func TestLayers(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		"{{if not .Standard}}{{.ImportPath}}{{range .Deps}} {{.}}{{end}}{{end}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name, ours := local(fields[0])
		if !ours {
			continue
		}
		seen[name] = true
		allowed, listed := layers[name]
		if !listed {
			if !slices.ContainsFunc(open, func(p string) bool { return strings.HasPrefix(name, p) }) {
				t.Errorf("package %s has no place in the layers", name)
			}
			continue
		}
		for _, dep := range fields[1:] {
			if !allows(allowed, dep) {
				t.Errorf("%s must not import %s", name, dep)
			}
		}
	}
	for name := range layers {
		if !seen[name] {
			t.Errorf("layers list %s, which does not exist", name)
		}
	}
}

// local returns the path inside the module.
func local(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func allows(allowed []string, dep string) bool {
	if !strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") {
		return true // standard library
	}
	name, ours := local(dep)
	return slices.ContainsFunc(allowed, func(a string) bool {
		if ours {
			return a == name
		}
		return strings.HasPrefix(dep, a)
	})
}

// TestDeviceSideIsLight keeps the server's machinery out of firmware.
func TestDeviceSideIsLight(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./device", "./hal/mqtt").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		for _, heavy := range []string{module + "/hub", module + "/hal/mqttd", module + "/store/bolt", "go.etcd.io/bbolt", "go.uber.org/zap"} {
			if dep == heavy {
				t.Errorf("the device side imports %s", heavy)
			}
		}
	}
}
