// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store/mem"
)

// A firmware for all lamps: a tenth of them first, and back to the desk when one
// in five fails. Hub.Downloads goes to the HTTP server devices reach.
func ExampleHub_CreateCampaign() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "firmware")
	defer os.RemoveAll(dir)
	root, _ := os.OpenRoot(dir)
	defer root.Close()
	h, err := hub.Open(ctx, hub.Config{Store: mem.New(), OTA: &hub.OTA{Blobs: ota.NewFolder(root), BaseURL: "https://iot.example.com"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	_, _ = h.CreateProduct(ctx, hub.Product{Key: "a1Lamps0001"})
	_, _ = h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"}})

	p, _ := h.UploadPackage(ctx, ota.Package{Product: "a1Lamps0001", Version: "2.0"}, strings.NewReader("code"))
	c, err := h.CreateCampaign(ctx, hub.Campaign{
		Product: "a1Lamps0001", Packages: []string{p.ID},
		Plan: ota.Plan{
			Stages:     []ota.Stage{{Percent: 10}, {Percent: 100, Approve: true}},
			Rate:       ota.Rate{PerMinute: 600},
			Thresholds: []ota.Threshold{{Outcome: ota.Failures, Percent: 20, Min: 5, Abort: true}},
			Timeout:    time.Hour, Retries: 2,
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	why, _ := h.ExplainUpdate(ctx, c.ID, "lamp-1")
	fmt.Println(c.Status, why)
	c, err = h.ControlCampaign(ctx, c.ID, hub.StartCampaign, "")
	fmt.Println(c.Status, err)
	// Output:
	// planned the campaign was not started
	// running <nil>
}

// A configuration for a product; RollbackConfig brings an earlier one back.
func ExampleHub_SetConfig() {
	ctx := context.Background()
	h, err := hub.Open(ctx, hub.Config{Store: mem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	_, _ = h.CreateProduct(ctx, hub.Product{Key: "a1Lamps0001"})
	_, _ = h.SetConfig(ctx, hub.RemoteConfig{Product: "a1Lamps0001", Content: []byte(`{"interval":5}`)}, 0)
	_, _ = h.SetConfig(ctx, hub.RemoteConfig{Product: "a1Lamps0001", Content: []byte(`{"interval":1}`)}, 1)
	c, err := h.RollbackConfig(ctx, "a1Lamps0001", "", 1)
	fmt.Println(c.Version, string(c.Content), err)
	// Output: 3 {"interval":5} <nil>
}
