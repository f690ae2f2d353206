// SPDX-License-Identifier: Apache-2.0

// Command http2 is firmware that speaks nothing else.
package main

import (
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/testdata/firmware/lamp"
)

func main() { panic(lamp.Run(http2.New("h2://iot.example.com"))) } // a board would start again
