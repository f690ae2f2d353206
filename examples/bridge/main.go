// SPDX-License-Identifier: Apache-2.0

// Command bridge brings three foreign devices to a platform, all in one process: a
// vehicle terminal that speaks JT/T 808, a boiler that speaks Modbus, and a fire
// panel that speaks GB/T 26875.3. Each reports, and a command goes down to each.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/gb26875"
	"github.com/openalink/iot/bridge/jt808"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	storemem "github.com/openalink/iot/store/mem"
)

const (
	bridgeProduct = "a1bridges00"
	deviceProduct = "a1foreign00"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bridge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	h, err := hub.Open(ctx, hub.Config{Store: storemem.New()})
	if err != nil {
		return err
	}
	defer h.Close()
	cfg, err := fleet(ctx, h)
	if err != nil {
		return err
	}
	b, err := bridge.New(cfg)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Start(ctx); err != nil {
		return err
	}
	for _, f := range []func(context.Context, io.Writer, *hub.Hub, *bridge.Bridge) error{vehicle, boiler, panel} {
		if err := f(ctx, out, h, b); err != nil {
			return err
		}
	}
	return nil
}

// fleet makes the products and devices at the platform, and the list that says who
// is who.
func fleet(ctx context.Context, h *hub.Hub) (bridge.Config, error) {
	for _, p := range []hub.Product{{Key: bridgeProduct, Gateway: true}, {Key: deviceProduct}} {
		if _, err := h.CreateProduct(ctx, p); err != nil {
			return bridge.Config{}, err
		}
	}
	self, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: bridgeProduct, Name: "bridge"}})
	if err != nil {
		return bridge.Config{}, err
	}
	var list strings.Builder
	for identity, name := range map[string]string{"13800138000": "truck", "boiler-3": "boiler", "112233445566": "panel"} {
		d, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: deviceProduct, Name: name}})
		if err != nil {
			return bridge.Config{}, err
		}
		fmt.Fprintf(&list, `,%q:{"productKey":%q,"deviceName":%q,"deviceSecret":%q}`, identity, deviceProduct, name, d.Secret.Reveal())
	}
	ids, err := bridge.ParseIdentities([]byte("{" + list.String()[1:] + "}")) // a file: bridge.OpenIdentities
	return bridge.Config{
		Gateways: []device.GatewayConfig{{Config: device.Config{
			Identity:  bridge.Self{ProductKey: bridgeProduct, DeviceName: "bridge", DeviceSecret: self.Secret},
			Transport: mem.NewTransport(h), // to a platform elsewhere: hal/mqtt
		}}},
		Identities: ids,
	}, err
}

// serve lets devices of one protocol in on a free port.
func serve(ctx context.Context, s *bridge.Server) (addr string, err error) {
	s.Address, s.Ports = "127.0.0.1", []int{0}
	if err := s.Listen(ctx); err != nil {
		return "", err
	}
	return s.Addrs()[0].String(), nil
}

// vehicle is a truck that reports where it is, and shows a text to its driver.
func vehicle(ctx context.Context, out io.Writer, h *hub.Hub, b *bridge.Bridge) error {
	s := &bridge.Server{Bridge: b, Handler: &jt808.Handler{Secret: []byte("known to the bridge only")}, Decoder: jt808.NewDecoder, Encoder: jt808.NewEncoder}
	addr, err := serve(ctx, s)
	if err != nil {
		return err
	}
	defer s.Close()
	shown := make(chan string, 1)
	truck := &jt808.Terminal{Phone: "13800138000", Version: jt808.V2019, Text: func(t jt808.Text) { shown <- t.Text }}
	if err := truck.Dial(ctx, addr); err != nil {
		return err
	}
	defer truck.Close()
	here := jt808.Location{Latitude: 30.25, Longitude: 120.15, Speed: 62.5, Time: time.Now(), Status: jt808.StatusFixed}
	if err := truck.Report(ctx, here); err != nil {
		return err
	}
	if err := show(ctx, out, h, "truck", "Latitude", "Longitude", "Speed"); err != nil {
		return err
	}
	if _, err := h.InvokeService(ctx, id("truck"), "text", map[string]string{"Text": "turn left"}, hub.CallOptions{}); err != nil {
		return err
	}
	fmt.Fprintf(out, "the truck shows %q\n", <-shown)
	return nil
}

// panel is a fire panel that reports an alarm, and whose guard is checked upon.
func panel(ctx context.Context, out io.Writer, h *hub.Hub, b *bridge.Bridge) error {
	s := &bridge.Server{Bridge: b, Handler: &gb26875.Handler{}, Decoder: gb26875.NewDecoder, Encoder: gb26875.NewEncoder}
	addr, err := serve(ctx, s)
	if err != nil {
		return err
	}
	defer s.Close()
	asked := make(chan uint8, 1)
	p := &gb26875.Panel{Address: 0x112233445566, Control: func(_ gb26875.Type, o gb26875.Object) error { asked <- o.Minutes; return nil }}
	if err := p.Dial(ctx, addr); err != nil {
		return err
	}
	defer p.Close()
	alarm := gb26875.Object{System: 1, State: gb26875.Running | gb26875.Fire, Time: time.Now()}
	if err := p.Report(ctx, gb26875.SystemState, alarm); err != nil {
		return err
	}
	if err := show(ctx, out, h, "panel", "SystemFire"); err != nil {
		return err
	}
	if _, err := h.InvokeService(ctx, id("panel"), "checkPost", map[string]int{"Minutes": 5}, hub.CallOptions{}); err != nil {
		return err
	}
	fmt.Fprintf(out, "the guard has %d minutes to answer\n", <-asked)
	return nil
}

func id(name string) iot.DeviceID { return iot.DeviceID{Product: deviceProduct, Name: name} }

// show waits until the platform has the values, and prints them.
func show(ctx context.Context, out io.Writer, h *hub.Hub, name string, properties ...string) error {
	for {
		all, err := h.Properties(ctx, id(name))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(properties, func(p string) bool { return all[p].Value == nil }) {
			for _, p := range properties {
				fmt.Fprintf(out, "%s: %s is %s\n", name, p, all[p].Value)
			}
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
