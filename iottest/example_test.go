// SPDX-License-Identifier: Apache-2.0

package iottest_test

import (
	"fmt"

	"github.com/openalink/iot/iottest"
)

// A Recorder collects what happens, here what a handler heard. Within a test the
// package's hubs and devices are made with a *testing.T: see the tests beside
// this example.
func ExampleRecorder() {
	var heard iottest.Recorder[string]
	heard.Add("lamp on")
	heard.Add("lamp off")
	fmt.Println(heard.All())
	// Output: [lamp on lamp off]
}
