// SPDX-License-Identifier: Apache-2.0

package modbus_test

import (
	"context"
	"fmt"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/modbus"
)

// A map is data: it may as well come from a file.
func ExamplePoller() {
	p := modbus.Poller{
		Bridge:   new(bridge.Bridge), // that of your program
		Identity: "boiler-3",
		URL:      "rtuovertcp://192.0.2.7:4001",
		Unit:     3,
		Registers: []modbus.Register{
			{Property: "Temperature", Kind: modbus.Input, Address: 0, Type: modbus.Int16, Scale: 0.1},
			{Property: "Energy", Kind: modbus.Input, Address: 2, Type: modbus.Uint32, LowFirst: true},
			{Property: "Target", Address: 100, Type: modbus.Float32, Writable: true},
			{Property: "Target", Kind: modbus.Coil, Address: 1, Writable: true}, // a slip
		},
	}
	fmt.Println(p.Run(context.Background()))
	// Output: modbus: bad map: Target is there twice
}
