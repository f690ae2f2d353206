// SPDX-License-Identifier: Apache-2.0

package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/provision"
	"github.com/openalink/iot/store/mem"
)

const fleet = `{
  "products": [{"productKey": "a1Fleet0001", "productSecret": "ps", "name": "lamps", "nodeType": "device",
    "dynamicRegister": true, "topics": [{"suffix": "user/chat", "operation": "all"}], "tsl": {}}],
  "devices": [
    {"productKey": "a1Fleet0001", "deviceName": "lamp-1", "deviceSecret": "secret-one", "tags": {"room": "hall"}},
    {"productKey": "a1Fleet0001", "deviceName": "x", "deviceSecret": "secret-two"}]
}`

func open(t *testing.T) *hub.Hub {
	t.Helper()
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestApplyIsIdempotent(t *testing.T) {
	h := open(t)
	f, err := provision.Read(strings.NewReader(fleet))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var lines []string
		err := f.Apply(t.Context(), h, func(l provision.Line) { lines = append(lines, l.String()) })
		if !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("error %v, want that of the short name", err)
		}
		if len(lines) != 3 || lines[0] != "product a1Fleet0001: ok" || lines[1] != "device a1Fleet0001/lamp-1: ok" ||
			!strings.HasPrefix(lines[2], "device a1Fleet0001/x: failed: hub: invalid argument: iot: bad name") {
			t.Errorf("report %q", lines)
		}
	}
	d, err := h.Device(t.Context(), iot.DeviceID{Product: "a1Fleet0001", Name: "lamp-1"})
	if err != nil || d.Secret.Reveal() != "secret-one" || d.Tags["room"] != "hall" {
		t.Errorf("device %+v, %v", d, err)
	}
}

func TestReadSaysWhere(t *testing.T) {
	for _, bad := range []string{``, `[]`, `{"product":[]}`, `{"products":[]} x`, `{"devices":[{"name":"x"}]}`} {
		if _, err := provision.Read(strings.NewReader(bad)); err == nil || !strings.HasPrefix(err.Error(), "provision: at byte") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func Example() {
	h, err := hub.Open(context.Background(), hub.Config{Store: mem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	f, err := provision.Read(strings.NewReader(`{"products": [{"productKey": "a1Fleet0001"}],
		"devices": [{"productKey": "a1Fleet0001", "deviceName": "lamp-1", "deviceSecret": "s"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = f.Apply(context.Background(), h, func(l provision.Line) { fmt.Println(l) })
	// Output:
	// product a1Fleet0001: ok
	// device a1Fleet0001/lamp-1: ok
}

// TestModelledProducts wants the fields of thing models imported and refused.
func TestModelledProducts(t *testing.T) {
	h := open(t)
	f, err := provision.Read(strings.NewReader(`{"products": [
		{"productKey": "a1Model0001", "validation": "reject", "dataFormat": "json",
		 "tsl": {"properties": [{"identifier": "Level", "accessMode": "rw", "dataType": {"type": "int"}}]}},
		{"productKey": "a1Model0002", "tsl": {"properties": [{"identifier": "Level"}]}},
		{"productKey": "a1Model0003", "dataFormat": "raw", "script": "function rawDataToProtocol() {}"},
		{"productKey": "a1Model0004", "dataFormat": "raw"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	_ = f.Apply(t.Context(), h, func(l provision.Line) {
		if l.Err != nil {
			failed = append(failed, l.Name)
		}
	})
	if len(failed) != 2 || failed[0] != "a1Model0002" || failed[1] != "a1Model0003" { // no engine for scripts here
		t.Errorf("failed %v", failed)
	}
	p, err := h.Product(t.Context(), "a1Model0001")
	if err != nil || p.Validation != hub.Reject || p.Model == nil || len(p.Model.Properties) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = h.Product(t.Context(), "a1Model0004"); err != nil || p.DataFormat != hub.Raw {
		t.Errorf("%+v, %v", p, err)
	}
}

// A configuration in the file is set once, and again only when it differs.
func TestApplyConfig(t *testing.T) {
	h := open(t)
	for i, c := range []struct {
		config  string
		version int
	}{{`{"a":1}`, 1}, {`{"a":1}`, 1}, {`{"a":2}`, 2}} {
		f, err := provision.Read(strings.NewReader(`{"products":[{"productKey":"a1Fleet0001","config":` + c.config + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Apply(t.Context(), h, func(provision.Line) {}); err != nil {
			t.Fatal(err)
		}
		if now, err := h.Config(t.Context(), "a1Fleet0001", ""); err != nil || now.Version != c.version || string(now.Content) != c.config {
			t.Errorf("import %d: %+v, %v", i, now, err)
		}
	}
}
