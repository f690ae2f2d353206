// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// The fleet of the tests of gateways and registration.
var (
	gateway       = device{iot.DeviceID{Product: "a1Interop02", Name: "gateway"}, auth.NewSecret("b1e9a7d4c3fb0e6d1a2c4f807195f2c8")}
	thermometer   = device{iot.DeviceID{Product: "a1Interop03", Name: "thermo-1"}, auth.NewSecret("d4c3fb0e6d1a2c4f807195f2c8b1e9a7")}
	hygrometer    = device{iot.DeviceID{Product: "a1Interop03", Name: "hygro-1"}, auth.NewSecret("3fb0e6d1a2c4f807195f2c8b1e9a7d4c")}
	productSecret = auth.NewSecret("interopProduct03")
)

func startGatewayHubd(t *testing.T) *hubd {
	t.Helper()
	type entry map[string]any
	text, err := json.Marshal(entry{
		"products": []entry{
			{"productKey": gateway.id.Product, "name": "gateways", "nodeType": "gateway"},
			{"productKey": thermometer.id.Product, "name": "thermometers", "dynamicRegister": true, "productSecret": productSecret.Reveal()},
		},
		"devices": []entry{
			{"productKey": gateway.id.Product, "deviceName": gateway.id.Name, "deviceSecret": gateway.secret.Reveal()},
			{"productKey": thermometer.id.Product, "deviceName": thermometer.id.Name, "deviceSecret": thermometer.secret.Reveal()},
			{"productKey": hygrometer.id.Product, "deviceName": hygrometer.id.Name, "deviceSecret": hygrometer.secret.Reveal()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fleet.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return startHubd(t, "-provision", path)
}

func (d device) named() object {
	return object{"productKey": d.id.Product, "deviceName": d.id.Name}
}

func (d device) triple() object {
	o := d.named()
	o["deviceSecret"] = d.secret.Reveal()
	return o
}

// Register, topology, login, posts and calls of a sub-device, logout: as the SDK
// does them.
func TestSDKGateway(t *testing.T) {
	node := needNPM(t, "alibabacloud-iot-device-sdk", "1.2.8")
	h := startGatewayHubd(t)
	p := startPeer(t, gateway, peerConfig{URL: h.url("tcp")}, node, "npm/gateway.js")
	p.want(t, "online")

	a := p.ask(t, object{"do": "register", "subs": []object{thermometer.named(), hygrometer.named()}})
	wantOK(t, "registration", a)
	if !strings.Contains(string(a.Data), thermometer.secret.Reveal()) {
		t.Errorf("registration gave %s", a.Data)
	}
	if a := p.ask(t, object{"do": "register", "subs": []object{thermometer.named()}}); a.Code != 6289 {
		t.Errorf("registered again: %d", a.Code)
	}
	if a := p.ask(t, object{"do": "login", "sub": thermometer.triple()}); a.Code != 6401 {
		t.Errorf("login before the topology: %d", a.Code)
	}
	wantOK(t, "topology", p.ask(t, object{"do": "addTopo", "subs": []object{thermometer.triple(), hygrometer.triple()}}))
	a = p.ask(t, object{"do": "getTopo"})
	wantOK(t, "topology", a)
	if !strings.Contains(string(a.Data), "thermo-1") || !strings.Contains(string(a.Data), "hygro-1") {
		t.Errorf("topology is %s", a.Data)
	}
	for _, sub := range []device{thermometer, hygrometer} {
		wantOK(t, "login", p.ask(t, object{"do": "login", "sub": sub.triple()}))
		p.want(t, "subOnline")
		if state, _ := h.state(t, sub); state != "online" {
			t.Errorf("%v is %s", sub.id, state)
		}
	}
	wantOK(t, "answer to the sub-device", p.ask(t, object{"do": "post", "name": "thermo-1", "params": object{"Temperature": 21}}))
	if got := h.property(t, thermometer, "Temperature"); got != 21.0 {
		t.Errorf("Temperature is %v", got)
	}
	wantOK(t, "answer to the sub-device", p.ask(t, object{"do": "event", "name": "hygro-1", "params": object{"level": 1}}))
	eventually(t, "the sub-device's subscriptions are there", func() bool {
		var a answer
		return h.try("POST", devicePath(thermometer)+"/properties", object{"params": object{"Power": 1}}, &a) == nil && a.Code == 200
	})
	if e := p.want(t, "set"); e.Name != "thermo-1" {
		t.Errorf("property set reached %q", e.Name)
	}
	wantOK(t, "logout", p.ask(t, object{"do": "logout", "sub": thermometer.named()}))
	if state, _ := h.state(t, thermometer); state != "offline" {
		t.Errorf("%v is %s after its logout", thermometer.id, state)
	}
	wantOK(t, "topology", p.ask(t, object{"do": "removeTopo", "subs": []object{hygrometer.named()}}))
	if state, _ := h.state(t, hygrometer); state != "offline" {
		t.Errorf("%v is %s after it left the gateway", hygrometer.id, state)
	}
}

// Dynamic registration over HTTP as the SDK does it, once, on the port for
// everything and on that of the API.
func TestSDKRegisters(t *testing.T) {
	node := needNPM(t, "alibabacloud-iot-device-sdk", "1.2.8")
	h := startGatewayHubd(t)
	for listener, d := range map[string]device{"any": thermometer, "http": hygrometer} {
		program := device{d.id, productSecret}
		p := startPeer(t, program, peerConfig{URL: "http://" + h.addrs[listener] + "/auth/register/device"}, node, "npm/register.js")
		p.want(t, "online")
		a := p.ask(t, object{"do": "register"})
		var out struct{ DeviceSecret string }
		if err := json.Unmarshal(a.Data, &out); err != nil || a.Code != 200 || out.DeviceSecret != d.secret.Reveal() {
			t.Errorf("%s: registration gave %d %s", listener, a.Code, a.Data)
		}
		if a := p.ask(t, object{"do": "register"}); a.Code != 6289 {
			t.Errorf("%s: registered again: %d", listener, a.Code)
		}
		wrong := startPeer(t, device{d.id, auth.NewSecret("guess")}, peerConfig{URL: "http://" + h.addrs[listener] + "/auth/register/device"}, node, "npm/register.js")
		wrong.want(t, "online")
		if a := wrong.ask(t, object{"do": "register"}); a.Code != 6600 {
			t.Errorf("%s: a wrong product secret: %d", listener, a.Code)
		}
	}
}
