// SPDX-License-Identifier: Apache-2.0

// Command mqtt is firmware that speaks nothing else.
package main

import (
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/testdata/firmware/lamp"
)

func main() { panic(lamp.Run(mqtt.New("mqtts://iot.example.com"))) } // a board would start again
