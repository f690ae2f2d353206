// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// A meter that wakes up, posts, and sleeps again.
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
	door, err := coap.NewServer(coap.Config{Platform: h})
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // devices expect port 5684
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- door.ServeDTLS(conn) }()

	c, _ := device.New(device.Config{
		Identity:  hal.Identity{Device: meter.ID, DeviceSecret: meter.Secret},
		Transport: coap.New("coaps://" + conn.LocalAddr().String()),
	})
	fmt.Println(c.Connect(ctx), c.PostProperties(ctx, map[string]any{"Energy": 17}))
	values, _ := h.Properties(ctx, meter.ID)
	fmt.Println(string(values["Energy"].Value))
	_, err = h.SetProperties(ctx, meter.ID, map[string]any{"Relay": 1}, hub.CallOptions{})
	fmt.Println(errors.Is(err, hub.ErrOffline)) // nothing reaches it until it asks

	_ = c.Close()
	fmt.Println(door.Shutdown(ctx), <-ended)
	// Output:
	// <nil> <nil>
	// 17
	// true
	// <nil> coap: server closed
}
