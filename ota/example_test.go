// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"fmt"
	"time"

	"github.com/openalink/iot/ota"
)

// A rollout in two stages, driven by hand.
func ExampleCampaign() {
	c, _ := ota.New(ota.Plan{Version: "2.0", Stages: []ota.Stage{{Percent: 50}, {Percent: 100}}})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c.Add(now, "lamp-1", "1.0")
	c.Add(now, "lamp-2", "1.0")
	_ = c.Start(now)

	tell := func(device string) { fmt.Println("tell", device) }
	ignore := func(string) {}
	c.Tick(now, tell, ignore)
	fmt.Println(c.Explain(now, "lamp-2"))
	c.Report(now.Add(time.Minute), "lamp-1", "2.0")
	c.Tick(now.Add(time.Minute), tell, ignore)
	// Output:
	// tell lamp-1
	// stage 1 lets 1 of 2 devices begin; all have, and 1 are not done
	// tell lamp-2
}
