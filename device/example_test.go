// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	storemem "github.com/openalink/iot/store/mem"
)

func memTransport(a hal.Access) hal.Transport { return mem.NewTransport(a) }

func Example() {
	ctx := context.Background()
	h, err := hub.Open(ctx, hub.Config{Store: storemem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	product, _ := h.CreateProduct(ctx, hub.Product{Key: "a1Lamps0001"})
	registered, _ := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: product.Key, Name: "lamp-1"}})

	lamp, err := device.New(device.Config{
		Identity:  hal.Identity{Device: registered.ID, DeviceSecret: registered.Secret},
		Transport: mem.NewTransport(h), // on a board: mqtt.Transport
		Handlers: device.Handlers{
			SetProperties: func(_ context.Context, values map[string]json.RawMessage) error {
				fmt.Println("asked to set Power to", string(values["Power"]))
				return nil
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lamp.Close()
	if err := lamp.Connect(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("posted:", lamp.PostProperties(ctx, map[string]any{"Power": 0}))
	answer, err := h.SetProperties(ctx, registered.ID, map[string]any{"Power": 1}, hub.CallOptions{})
	fmt.Println("answered:", answer.Code, err)
	// Output:
	// posted: <nil>
	// asked to set Power to 1
	// answered: success <nil>
}

// A device that keeps its firmware and its configuration up to date.
func ExampleFirmware() {
	dir, _ := os.MkdirTemp("", "device")
	defer os.RemoveAll(dir)
	root, _ := os.OpenRoot(dir)
	defer root.Close()
	images, err := fileslot.OpenFirmware(root) // a.img and b.img, started by a launcher
	if err != nil {
		fmt.Println(err)
		return
	}
	state := fileslot.NewSlot(root)
	c, err := device.New(device.Config{
		Identity:  hal.Identity{Device: iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"}},
		Transport: mem.NewTransport(nil), // on a board: mqtt.New("tcp://...")
		Links:     ota.HTTP{},            // leave it out where files come over MQTT
		Firmware: &device.Firmware{
			Version: "1.0", State: state, Slot: images,
			SelfTest: func(context.Context) error { return nil }, // does the new firmware work?
			Reboot:   func(context.Context) error { return nil }, // on a board: restart it
		},
		RemoteConfig: &device.RemoteConfig{
			State: state,
			Apply: func(_ context.Context, content []byte) error { return nil },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	_, err = c.AppliedConfig(context.Background())
	fmt.Println(errors.Is(err, hal.ErrNoValue))
	// Output: true
}
