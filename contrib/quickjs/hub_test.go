// SPDX-License-Identifier: Apache-2.0

package quickjs_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/contrib/quickjs"
	devices "github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	halmem "github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
	"github.com/openalink/iot/tsl"
)

const switchModel = `{"properties": [
 {"identifier": "Speed", "accessMode": "r", "dataType": {"type": "int", "specs": {"min": "0", "max": "1000"}}},
 {"identifier": "Switch", "accessMode": "rw", "dataType": {"type": "bool", "specs": {"0": "off", "1": "on"}}},
 {"identifier": "Temperature", "accessMode": "r", "dataType": {"type": "float"}}], "events": [], "services": []}`

// connectRaw opens a hub whose devices speak the sample's bytes, and connects one.
func connectRaw(t testing.TB, script string, raw func(context.Context, []byte) ([]byte, error)) (*hub.Hub, *devices.Client) {
	t.Helper()
	limits := hub.NoLimits()
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New(), Scripts: quickjs.Engine{}, Limits: &limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	m, err := tsl.Parse([]byte(switchModel))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: device.Product, DataFormat: hub.Raw, Script: script, Model: m}); err != nil {
		t.Fatal(err)
	}
	return h, connect(t, h, device, raw)
}

func connect(t testing.TB, h *hub.Hub, id iot.DeviceID, raw func(context.Context, []byte) ([]byte, error)) *devices.Client {
	t.Helper()
	d, err := h.RegisterDevice(t.Context(), hub.Device{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	c, err := devices.New(devices.Config{
		Identity: hal.Identity{Device: d.ID, DeviceSecret: d.Secret}, Transport: halmem.NewTransport(h),
		Handlers: devices.Handlers{Raw: raw},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRawDeviceAndScript has a device that knows only bytes post and be set.
func TestRawDeviceAndScript(t *testing.T) {
	heard := make(chan []byte, 1)
	h, c := connectRaw(t, sample, func(_ context.Context, payload []byte) ([]byte, error) {
		heard <- payload
		reply := append([]byte{2}, payload[1:5]...)
		return append(reply, 0), nil
	})
	answer, err := c.PostRaw(t.Context(), frame)
	if err != nil || string(answer) != "\x03\x00" {
		t.Fatalf("answer %x, %v", answer, err)
	}
	values, err := h.Properties(t.Context(), c.Device())
	if err != nil || string(values["Temperature"].Value) != "21.5" || string(values["Speed"].Value) != "300" {
		t.Errorf("values %v, %v", values, err)
	}
	a, err := h.SetProperties(t.Context(), c.Device(), map[string]int{"Switch": 1}, hub.CallOptions{})
	if err != nil || a.Code != 200 {
		t.Errorf("set: %+v, %v", a, err)
	}
	if got := <-heard; len(got) != 6 || got[0] != 1 || binary.BigEndian.Uint32(got[1:]) == 0 || got[5] != 1 {
		t.Errorf("the device got %x", got)
	}
}

// TestLoopingScriptHarmsNobodyElse runs a product whose script never returns beside
// one without a script.
func TestLoopingScriptHarmsNobodyElse(t *testing.T) {
	h, c := connectRaw(t, `function rawDataToProtocol(bytes) { while (true) {} }`, nil)
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: "a1Json00001"}); err != nil {
		t.Fatal(err)
	}
	other := connect(t, h, iot.DeviceID{Product: "a1Json00001", Name: "calm"}, nil)
	for range 20 { // all of them wait for the script
		go func() {
			_, _ = c.PostRaw(context.Background(), frame)
			_ = c.Publish(context.Background(), "user/update", nil, iot.AtMostOnce)
		}()
	}
	for i := range 50 {
		begin := time.Now()
		if err := other.PostProperties(t.Context(), map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Fatalf("a post of another product took %v", took)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		for e, err := range h.Logs(t.Context(), hub.LogQuery{Device: c.Device(), Status: hub.Failure}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Operation == hub.OpTransform && strings.Contains(fmt.Sprint(e.Detail), "interrupted") {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the device's log does not tell of the script")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
