// SPDX-License-Identifier: Apache-2.0

package iottest

import (
	"fmt"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
)

// NewDevice registers a device with h, connects it in memory and closes it when
// the test ends.
func NewDevice(t testing.TB, h *Hub, handlers device.Handlers) *device.Client {
	t.Helper()
	return Connect(t, h, h.Register(), device.Config{Handlers: handlers})
}

// Connect connects a registered device. Identity and Transport of cfg are filled
// in when they are nil.
func Connect(t testing.TB, h *Hub, d hub.Device, cfg device.Config) *device.Client {
	t.Helper()
	if cfg.Identity == nil {
		cfg.Identity = hal.Identity{Device: d.ID, DeviceSecret: d.Secret}
	}
	if cfg.Transport == nil {
		cfg.Transport = mem.NewTransport(h)
	}
	c, err := device.New(cfg)
	if err != nil {
		t.Fatalf("iottest: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Connect(t.Context()); err != nil {
		t.Fatalf("iottest: connect %v: %v", d.ID, err)
	}
	return c
}

// NewThing gives the product of h a thing model, registers a device of it and
// connects it in memory as a Thing, which is closed when the test ends. A nil
// cfg.Model leaves the product's as it is and asks the hub for it.
func NewThing(t testing.TB, h *Hub, cfg device.ThingConfig) *device.Thing {
	t.Helper()
	if cfg.Model != nil {
		if _, err := h.UpdateProduct(t.Context(), ProductKey, func(p *hub.Product) { p.Model = cfg.Model }); err != nil {
			t.Fatalf("iottest: %v", err)
		}
	}
	d := h.Register()
	cfg.Identity, cfg.Transport = hal.Identity{Device: d.ID, DeviceSecret: d.Secret}, mem.NewTransport(h)
	thing, err := device.NewThing(cfg)
	if err != nil {
		t.Fatalf("iottest: %v", err)
	}
	t.Cleanup(func() { _ = thing.Close() })
	if err := thing.Connect(t.Context()); err != nil {
		t.Fatalf("iottest: connect %v: %v", d.ID, err)
	}
	return thing
}

// GatewayProductKey is the product of the gateways NewGateway makes.
const GatewayProductKey = "a1iottestgw"

// NewGateway registers a gateway with h, connects it in memory and closes it, and
// its sub-devices, when the test ends. Identity and Transport of cfg are filled in.
func NewGateway(t testing.TB, h *Hub, cfg device.GatewayConfig) *device.Gateway {
	t.Helper()
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: GatewayProductKey, Gateway: true}); err != nil {
		t.Fatalf("iottest: %v", err)
	}
	name := fmt.Sprintf("gateway-%d", h.devices.Add(1))
	d, err := h.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: GatewayProductKey, Name: name}})
	if err != nil {
		t.Fatalf("iottest: %v", err)
	}
	cfg.Identity = hal.Identity{Device: d.ID, DeviceSecret: d.Secret}
	cfg.Transport = mem.NewTransport(h)
	g, err := device.NewGateway(cfg)
	if err != nil {
		t.Fatalf("iottest: %v", err)
	}
	t.Cleanup(func() { _ = g.Close() })
	if err := g.Connect(t.Context()); err != nil {
		t.Fatalf("iottest: connect %v: %v", d.ID, err)
	}
	return g
}
