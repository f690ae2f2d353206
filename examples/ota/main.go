// SPDX-License-Identifier: Apache-2.0

// Command ota shows firmware over the air in one process: a platform, fifty
// simulated devices with two firmware images each, and an application that rolls
// out. The first firmware is broken on half of the devices: they go back by
// themselves, and a threshold aborts the campaign. The repaired one then reaches
// all, in stages.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store/mem"
)

const (
	product = "a1OtaDemo01"
	fleet   = 50
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ota:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "ota")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := start(ctx, dir, out)
	if err != nil {
		return err
	}
	defer p.stop()

	fmt.Fprintf(out, "%d devices run version 1.0.\n", fleet)
	stages := []ota.Stage{{Percent: 10}, {Percent: 50}, {Percent: 100}}
	broken, err := p.rollout(ctx, "2.0", ota.Plan{
		Stages:     stages,
		Thresholds: []ota.Threshold{{Outcome: ota.Failures, Percent: 40, Min: 5, Abort: true}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Version 2.0 is %s: %s.\n", broken.Status, broken.Why)
	if err := p.explain(ctx, broken); err != nil {
		return err
	}
	repaired, err := p.rollout(ctx, "2.1", ota.Plan{Stages: stages, Retries: 1})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Version 2.1 is %s: %d of %d devices run it.\n", repaired.Status, repaired.Stats.Succeeded, fleet)
	if repaired.Stats.Succeeded != fleet {
		return fmt.Errorf("version 2.1 reached %d of %d devices", repaired.Stats.Succeeded, fleet)
	}
	return nil
}

// platform is a hub, the server devices fetch from, and the devices.
type platform struct {
	hub     *hub.Hub
	out     io.Writer
	signer  ed25519.PrivateKey
	devices *devices
	stop    func()
}

func start(ctx context.Context, dir string, out io.Writer) (*platform, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	blobs := filepath.Join(dir, "packages")
	if err := os.Mkdir(blobs, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(blobs)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	limits := hub.NoLimits()
	trusted := []crypto.PublicKey{public}
	h, err := hub.Open(ctx, hub.Config{Store: mem.New(), Limits: &limits, OTA: &hub.OTA{
		Blobs: ota.NewFolder(root), BaseURL: "http://" + l.Addr().String(), Trusted: trusted,
	}})
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: h.Downloads(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	p := &platform{hub: h, out: out, signer: private}
	if _, err := h.CreateProduct(ctx, hub.Product{Key: product}); err != nil {
		return nil, err
	}
	p.devices, err = startDevices(ctx, h, filepath.Join(dir, "devices"), trusted)
	p.stop = func() {
		if p.devices != nil {
			p.devices.stop()
		}
		_ = server.Close()
		_ = h.Close()
		_ = root.Close()
	}
	return p, err
}

// rollout uploads a firmware, signed, and brings it to all devices.
func (p *platform) rollout(ctx context.Context, version string, plan ota.Plan) (hub.Campaign, error) {
	image := firmware(version)
	// The upload computes the digests, and the signature is over them: so the
	// manifest is made first, as a build would.
	described, err := describe(ctx, p.hub, version, image, p.signer)
	if err != nil {
		return hub.Campaign{}, err
	}
	made, err := p.hub.CreateCampaign(ctx, hub.Campaign{Product: product, Packages: []string{described.ID}, Plan: plan})
	if err != nil {
		return made, err
	}
	if _, err := p.hub.ControlCampaign(ctx, made.ID, hub.StartCampaign, ""); err != nil {
		return made, err
	}
	return p.watch(ctx, made.ID)
}

// describe signs a firmware and uploads it.
func describe(ctx context.Context, h *hub.Hub, version string, image []byte, key ed25519.PrivateKey) (ota.Package, error) {
	p, err := ota.Describe(ota.Package{Product: product, Version: version}, bytes.NewReader(image))
	if err != nil {
		return p, err
	}
	if p.Signature, err = ota.Sign(&p, key); err != nil {
		return p, err
	}
	return h.UploadPackage(ctx, p, bytes.NewReader(image))
}

// explain says why one device was not updated.
func (p *platform) explain(ctx context.Context, c hub.Campaign) error {
	for j, err := range p.hub.CampaignJobs(ctx, c.ID, "") {
		if err != nil {
			return err
		}
		if j.State == ota.Failed {
			fmt.Fprintf(p.out, "%s: %s, step %d: %s.\n", j.Device, j.State, j.Code, j.Detail)
			return nil
		}
	}
	return nil
}
