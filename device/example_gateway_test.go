// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	storemem "github.com/openalink/iot/store/mem"
)

// A gateway brings a sensor in; the platform sees a device like any other.
func ExampleGateway_SubDevice() {
	ctx := context.Background()
	h, err := hub.Open(ctx, hub.Config{Store: storemem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	_, _ = h.CreateProduct(ctx, hub.Product{Key: "a1Gateways1", Gateway: true})
	_, _ = h.CreateProduct(ctx, hub.Product{Key: "a1Sensors01"})
	box, _ := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1Gateways1", Name: "basement"}})
	probe, _ := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1Sensors01", Name: "probe-1"}})

	gw, err := device.NewGateway(device.GatewayConfig{Config: device.Config{
		Identity:  hal.Identity{Device: box.ID, DeviceSecret: box.Secret},
		Transport: mem.NewTransport(h), // or mqtt.New("tls://...")
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gw.Close()
	if err := gw.Connect(ctx); err != nil {
		fmt.Println(err)
		return
	}
	sensor, err := gw.SubDevice(device.Config{Identity: hal.Identity{Device: probe.ID, DeviceSecret: probe.Secret}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := sensor.Connect(ctx); err != nil { // binds it and logs it in
		fmt.Println(err)
		return
	}
	err = sensor.PostProperties(ctx, map[string]any{"Temperature": 18.5})
	values, _ := h.Properties(ctx, probe.ID)
	through, online, _ := h.GatewayOf(ctx, probe.ID)
	fmt.Println(err, string(values["Temperature"].Value), through, online)
	// Output: <nil> 18.5 a1Gateways1/basement true
}
