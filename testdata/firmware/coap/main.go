// SPDX-License-Identifier: Apache-2.0

// Command coap is firmware that speaks nothing else.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
)

func main() {
	c, err := device.New(device.Config{
		Identity: hal.Identity{
			Device:       iot.DeviceID{Product: os.Getenv("PRODUCT_KEY"), Name: os.Getenv("DEVICE_NAME")},
			DeviceSecret: auth.NewSecret(os.Getenv("DEVICE_SECRET")),
		},
		Transport: coap.New("coaps://iot.example.com"),
		Handlers: device.Handlers{
			SetProperties: func(_ context.Context, values map[string]json.RawMessage) error {
				fmt.Println("set", values)
				return nil
			},
		},
	})
	if err == nil {
		err = c.Connect(context.Background())
	}
	if err == nil {
		err = c.PostProperties(context.Background(), map[string]any{"Temperature": 21.5})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}
