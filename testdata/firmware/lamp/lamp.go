// SPDX-License-Identifier: Apache-2.0

// Package lamp is what firmware does, whatever it speaks.
package lamp

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
)

// Run is the life of the device.
func Run(t hal.Transport) error {
	c, err := device.New(device.Config{
		Identity: hal.Identity{
			Device:       iot.DeviceID{Product: os.Getenv("PRODUCT_KEY"), Name: os.Getenv("DEVICE_NAME")},
			DeviceSecret: auth.NewSecret(os.Getenv("DEVICE_SECRET")),
		},
		Transport: t,
		Handlers: device.Handlers{
			SetProperties: func(_ context.Context, values map[string]json.RawMessage) error {
				fmt.Fprintln(os.Stdout, "set", values)
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
		return err
	}
	select {}
}
