// SPDX-License-Identifier: Apache-2.0

// Command coap is firmware that speaks nothing else.
package main

import (
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/testdata/firmware/lamp"
)

func main() { panic(lamp.Run(coap.New("coaps://iot.example.com"))) } // a board would start again
