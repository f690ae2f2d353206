// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"fmt"
	"net"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// A platform: a store, a hub, and a front door for devices.
func Example() {
	ctx := context.Background()
	h, err := hub.Open(ctx, hub.Config{Store: mem.New()}) // bolt.Open("hub.db", ...) to keep it
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	door, err := mqttd.New(mqttd.Config{Access: h})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer door.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go door.Serve(l)

	product, err := h.CreateProduct(ctx, hub.Product{Key: "a1Lamps0001", Name: "lamps"})
	if err != nil {
		fmt.Println(err)
		return
	}
	lamp, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: product.Key, Name: "lamp-1"}})
	fmt.Println(lamp.ID, lamp.State, lamp.Secret, err)
	// Output: a1Lamps0001/lamp-1 inactive *** <nil>
}

// Methods the platform does not know reach handlers of the embedder.
func ExampleHub_Mux() {
	h, err := hub.Open(context.Background(), hub.Config{Store: mem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	err = h.Mux().HandleFunc("app/weather", func(_ context.Context, r *alink.Request) alink.Reply {
		return alink.OK([]byte(`{"sky":"clear"}`))
	})
	fmt.Println(err)
	// Output: <nil>
}
