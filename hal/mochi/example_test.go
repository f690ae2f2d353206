// SPDX-License-Identifier: Apache-2.0

package mochi_test

import (
	"fmt"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mochi"
)

// A broker that runs already gets a listener for devices.
func Example() {
	server := newServer() // mqtt.New(nil), with hooks and listeners of your own
	platform := new(haltest.FakeAccess)

	guard, err := mochi.New(server, mochi.Config{Access: platform, Forward: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	devices := listeners.NewTCP(listeners.Config{ID: "devices", Address: "127.0.0.1:0"})
	if err := server.AddListener(guard.Wrap(devices)); err != nil {
		fmt.Println(err)
		return
	}
	if err := server.Serve(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(guard.Conns(), "devices on", devices.Protocol(), "beside mochi", mqtt.Version)
	_ = server.Close()
	// Output: 0 devices on tcp beside mochi 2.7.9
}
