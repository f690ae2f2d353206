// SPDX-License-Identifier: Apache-2.0

package dial_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/dial"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// The device does not know how it reaches the platform.
func Example() {
	ctx := context.Background()
	h, err := hub.Open(ctx, hub.Config{Store: mem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	_, _ = h.CreateProduct(ctx, hub.Product{Key: "a1Meters001"})
	meter, _ := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1Meters001", Name: "meter-1"}})
	door, _ := https.NewHandler(https.Config{Platform: h})
	server := httptest.NewServer(door)
	defer server.Close()

	transport, err := dial.New(server.URL, nil) // or mqtts://..., wss://...
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := device.New(device.Config{Identity: hal.Identity{Device: meter.ID, DeviceSecret: meter.Secret}, Transport: transport})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(c.Connect(ctx))
	fmt.Println(c.PostProperties(ctx, map[string]any{"Energy": 17}))
	values, err := h.Properties(ctx, meter.ID)
	fmt.Println(string(values["Energy"].Value), err)
	// Output:
	// <nil>
	// <nil>
	// 17 <nil>
}
