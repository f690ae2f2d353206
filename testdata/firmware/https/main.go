// SPDX-License-Identifier: Apache-2.0

// Command https is firmware that speaks nothing else.
package main

import (
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/testdata/firmware/lamp"
)

func main() { panic(lamp.Run(https.New("https://iot.example.com"))) } // a board would start again
