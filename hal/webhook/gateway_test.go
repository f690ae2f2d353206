// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"encoding/json"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

// TestGateway: a gateway speaks for its sub-devices, and one of them that logs in
// by itself speaks for itself from then on.
func TestGateway(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		r := newRig(t, name, nil)
		ctx := t.Context()
		if _, err := r.CreateProduct(ctx, hub.Product{Key: iottest.GatewayProductKey, Gateway: true}); err != nil {
			t.Fatal(err)
		}
		g, err := r.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: iottest.GatewayProductKey, Name: "gateway"}})
		if err != nil {
			t.Fatal(err)
		}
		gw, err := device.NewGateway(device.GatewayConfig{Config: device.Config{
			Identity:  hal.Identity{Device: g.ID, DeviceSecret: g.Secret},
			Transport: mqtt.New("tcp://" + r.broker.addr), ExplicitSubscribe: true,
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer gw.Close()
		if err := gw.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		d := r.Register()
		set := make(chan string, 1)
		sub, err := gw.SubDevice(device.Config{
			Identity: hal.Identity{Device: d.ID, DeviceSecret: d.Secret}, ExplicitSubscribe: true,
			Handlers: device.Handlers{SetProperties: func(_ context.Context, v map[string]json.RawMessage) error { set <- string(v["Power"]); return nil }},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := sub.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		if err := sub.PostProperties(ctx, map[string]int{"Power": 1}); err != nil {
			t.Fatal(err)
		}
		if got := r.Values(d.ID)["Power"]; got != "1" {
			t.Errorf("Power is %s", got)
		}
		if a, err := r.SetProperties(ctx, d.ID, map[string]int{"Power": 2}, hub.CallOptions{}); err != nil || a.Code != 200 {
			t.Errorf("set: %+v, %v", a, err)
		}
		if got := wait(t, set, "the property set"); got != "2" {
			t.Errorf("the sub-device was told %s", got)
		}
		if err := sub.Close(); err != nil {
			t.Error(err)
		}

		alone := r.connect(t, d, device.Handlers{})
		if err := alone.PostProperties(ctx, map[string]int{"Power": 3}); err != nil {
			t.Errorf("post of its own: %v", err)
		}
		if n := r.hook.Dropped(); n > 0 {
			t.Errorf("%d messages were dropped", n)
		}
	})
}
