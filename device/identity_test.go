// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"errors"
	"testing"
	"testing/synctest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

// A device that has only its product's secret registers over its own transport,
// once; the slot has the rest.
func TestRegistersOverItsTransport(t *testing.T) {
	for name, anybody := range map[string]bool{"made beforehand": false, "without whitelist": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := iottest.NewHub(t)
				product, err := h.UpdateProduct(t.Context(), iottest.ProductKey, func(p *hub.Product) { p.DynamicRegister = true })
				if err != nil {
					t.Fatal(err)
				}
				id := iot.DeviceID{Product: iottest.ProductKey, Name: "newcomer"}
				if !anybody {
					if _, err := h.RegisterDevice(t.Context(), hub.Device{ID: id}); err != nil {
						t.Fatal(err)
					}
				}
				connect := func(slot hal.Slot, secret auth.Secret) (*device.Client, error) {
					c, err := device.New(device.Config{
						Identity:  hal.Identity{Device: id, ProductSecret: secret},
						Transport: mem.NewTransport(h), Slot: slot, WithoutWhitelist: anybody,
					})
					if err != nil {
						t.Fatal(err)
					}
					return c, c.Connect(t.Context())
				}
				if _, err := connect(&memSlot{}, auth.NewSecret("guess")); err == nil {
					t.Error("registered with a wrong product secret")
				}
				if _, err := connect(&memSlot{}, auth.Secret{}); !errors.Is(err, device.ErrNoSecret) {
					t.Errorf("without any secret: %v", err)
				}
				kept := &memSlot{}
				for range 2 {
					c, err := connect(kept, product.Secret)
					if err != nil || !h.Online(id) {
						t.Fatalf("connect: %v", err)
					}
					if err := c.PostProperties(t.Context(), map[string]int{"Power": 1}); err != nil {
						t.Error(err)
					}
					_ = c.Close()
				}
				if anybody {
					return // whoever has the product's secret may come anew
				}
				var refused *hal.RefusedError
				if _, err := connect(&memSlot{}, product.Secret); !errors.As(err, &refused) {
					t.Errorf("registered again: %v", err)
				}
			})
		})
	}
}
