// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

// firmware makes an image: the version, and something to download.
func firmware(version string) []byte {
	return append([]byte(version+"\n"), bytes.Repeat([]byte("code "), 40_000)...)
}

// devices is the fleet.
type devices struct {
	cancel context.CancelFunc
	alive  sync.WaitGroup
}

func startDevices(ctx context.Context, h *hub.Hub, dir string, trusted []crypto.PublicKey) (*devices, error) {
	ctx, cancel := context.WithCancel(ctx)
	d := &devices{cancel: cancel}
	for i := range fleet {
		made, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: product, Name: fmt.Sprintf("device-%02d", i)}})
		if err != nil {
			d.stop()
			return nil, err
		}
		s := &simulated{
			hub: h, dir: filepath.Join(dir, made.ID.Name), trusted: trusted, weak: i%2 == 0,
			identity: hal.Identity{Device: made.ID, DeviceSecret: made.Secret},
		}
		if err := s.assemble(); err != nil {
			d.stop()
			return nil, err
		}
		d.alive.Go(func() { s.live(ctx) })
	}
	return d, nil
}

func (d *devices) stop() {
	d.cancel()
	d.alive.Wait()
}

// simulated is a device: a folder with two images, and whether the broken
// firmware hurts it.
type simulated struct {
	hub      *hub.Hub
	dir      string
	trusted  []crypto.PublicKey
	identity hal.Identity
	weak     bool
}

// assemble puts the first firmware in.
func (s *simulated) assemble() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "a.img"), firmware("1.0"), 0o600)
}

// live boots again and again.
func (s *simulated) live(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.boot(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, s.identity.Device.Name, err)
			return
		}
	}
}

// boot runs the firmware the launcher chose until it reboots.
func (s *simulated) boot(ctx context.Context) error {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	images, err := fileslot.OpenFirmware(root)
	if err != nil {
		return err
	}
	image, err := images.Boot()
	if err != nil {
		return err
	}
	code, err := root.ReadFile(image)
	if err != nil {
		return err
	}
	version, _, _ := strings.Cut(string(code), "\n")
	reboot := make(chan struct{}, 1)
	c, err := device.New(device.Config{
		Identity: s.identity, Transport: mem.NewTransport(s.hub), Links: ota.HTTP{},
		Firmware: &device.Firmware{
			Version: version, State: fileslot.NewSlot(root), Slot: images, Trusted: s.trusted,
			SelfTest: func(context.Context) error { return s.selfTest(version) },
			Reboot: func(context.Context) error {
				reboot <- struct{}{}
				return nil
			},
		},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Connect(ctx); err != nil {
		return err
	}
	select {
	case <-reboot:
		time.Sleep(100 * time.Millisecond) // as long as a boot takes here
	case <-ctx.Done():
	}
	return nil
}

// selfTest is how the broken firmware shows.
func (s *simulated) selfTest(version string) error {
	if version == "2.0" && s.weak {
		return errors.New("the sensor does not answer")
	}
	return nil
}
