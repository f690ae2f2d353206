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
