// SPDX-License-Identifier: Apache-2.0

package iottest

import (
	"testing"

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
