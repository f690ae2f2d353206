// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
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

// A package is signed by the build, verified at the upload, and served behind a
// link that is one device's for a day.
func ExampleUpload() {
	dir, _ := os.MkdirTemp("", "firmware")
	defer os.RemoveAll(dir)
	root, _ := os.OpenRoot(dir)
	defer root.Close()
	blobs := ota.NewFolder(root)
	ctx := context.Background()

	public, private, _ := ed25519.GenerateKey(rand.Reader)
	p, _ := ota.Describe(ota.Package{Product: "a1Lamps0001", Version: "2.0"}, strings.NewReader("code"))
	p.Signature, _ = ota.Sign(&p, private)
	trusted := ota.UploadOptions{Trusted: []crypto.PublicKey{public}}
	p, err := ota.Upload(ctx, blobs, p, strings.NewReader("code"), trusted)
	fmt.Println(p.Size, p.MD5, err)

	links, _ := ota.NewLinks("https://ota.example.com", auth.NewSecret(strings.Repeat("k", 32)), 0)
	link, _ := url.Parse(links.Sign(p.ID, iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"}, time.Now()))
	grant, err := links.Check(link, time.Now())
	fmt.Println(link.Host, grant.Device, err)
	_, err = links.Check(link, time.Now().Add(25*time.Hour))
	fmt.Println(errors.Is(err, ota.ErrExpired))
	// Output:
	// 4 c13367945d5d4c91047b3b50234aa7ab <nil>
	// ota.example.com a1Lamps0001/lamp-1 <nil>
	// true
}

// A device brings a firmware by hand; with device.Config.Firmware the client
// does all of this.
func ExampleUpdater() {
	dir, _ := os.MkdirTemp("", "device")
	defer os.RemoveAll(dir)
	root, _ := os.OpenRoot(dir)
	defer root.Close()
	images, _ := fileslot.OpenFirmware(root)
	ctx := context.Background()

	image := firmware("2.0", 100)
	u, _ := ota.NewUpdater(ota.UpdaterConfig{
		Version: "1.0", State: fileslot.NewSlot(root), Firmware: images, Source: memory(image),
		Reboot: func(context.Context) error { fmt.Println("reboot"); return nil },
	})
	_, _ = u.Resume(ctx)
	d, _ := ota.Describe(ota.Package{Version: "2.0"}, bytes.NewReader(image))
	err := u.Update(ctx, ota.Notice{Version: "2.0", Module: "default", Size: d.Size, SHA256: d.SHA256, URL: "https://ota.example.com/x"})
	state, _ := images.State(ctx)
	fmt.Println(u.Status().Phase, state == hal.FirmwarePending, err)
	// Output:
	// reboot
	// tried true <nil>
}
