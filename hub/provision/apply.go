// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/tsl"
)

// Line is the outcome of one entry of a file.
type Line struct {
	Kind string // product, device or application
	Name string
	Err  error // nil when the entry is there now
}

// String renders the line for people.
func (l Line) String() string {
	if l.Err != nil {
		return fmt.Sprintf("%s %s: failed: %v", l.Kind, l.Name, l.Err)
	}
	return fmt.Sprintf("%s %s: ok", l.Kind, l.Name)
}

// Apply imports a file and reports every entry, in order. It goes on after a
// failed entry; the error joins all failures, or is ctx's when that ended.
func (f *File) Apply(ctx context.Context, h *hub.Hub, report func(Line)) error {
	var failed error
	tell := func(l Line) {
		if l.Err != nil {
			failed = errors.Join(failed, fmt.Errorf("provision: %s %s: %w", l.Kind, l.Name, l.Err))
		}
		report(l)
	}
	for _, p := range f.Products {
		tell(Line{Kind: "product", Name: p.ProductKey, Err: p.apply(ctx, h)})
	}
	for some := range slices.Chunk(f.Devices, together) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, l := range register(ctx, h, some) {
			tell(l)
		}
	}
	for _, a := range f.Applications {
		tell(Line{Kind: "application", Name: a.AccessKey, Err: a.apply(ctx, h)})
	}
	return failed
}

func (a *Application) apply(ctx context.Context, h *hub.Hub) error {
	rights := a.Rights
	if len(rights) == 0 {
		rights = map[string]hub.Right{hub.AllProducts: hub.Write}
	}
	_, err := h.PutApplication(ctx, hub.Application{AccessKey: a.AccessKey, Secret: a.AccessSecret, Name: a.Name, Rights: rights})
	return err
}

// together is how many devices are registered at once, to share commits.
const together = 256

// register registers some devices and returns their lines, in order.
func register(ctx context.Context, h *hub.Hub, some []Device) []Line {
	lines := make([]Line, len(some))
	var wg sync.WaitGroup
	for i, d := range some {
		wg.Go(func() {
			id := iot.DeviceID{Product: d.ProductKey, Name: d.DeviceName}
			_, err := h.RegisterDevice(ctx, hub.Device{ID: id, Secret: d.DeviceSecret, Tags: d.Tags})
			lines[i] = Line{Kind: "device", Name: id.String(), Err: err}
		})
	}
	wg.Wait()
	return lines
}

func (p *Product) apply(ctx context.Context, h *hub.Hub) error {
	want, err := p.ForHub()
	if err != nil {
		return err
	}
	if len(p.TSL) > 0 && string(p.TSL) != "{}" && string(p.TSL) != "null" {
		if want.Model, err = tsl.ParseAll(p.TSL); err != nil {
			return err
		}
	}
	if _, err = h.CreateProduct(ctx, want); err != nil || p.Config == nil {
		return err
	}
	if now, err := h.Config(ctx, p.ProductKey, ""); err == nil && bytes.Equal(now.Content, p.Config) {
		return nil
	}
	_, err = h.SetConfig(ctx, hub.RemoteConfig{Product: p.ProductKey, Content: p.Config, Note: "provisioned"}, 0)
	return err
}
