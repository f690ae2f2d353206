// SPDX-License-Identifier: Apache-2.0

// Command gateway is a gateway with 300 simulated thermometers and the platform
// they report to, in one process. It binds and logs in every thermometer, has
// them report, calls one of them, loses its connection and brings all of them
// back.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	storemem "github.com/openalink/iot/store/mem"
)

const (
	gatewayProduct = "a1gateways0"
	sensorProduct  = "a1sensors00"
)

func main() {
	if err := run(context.Background(), os.Stdout, 300); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, n int) error {
	h, err := hub.Open(ctx, hub.Config{Store: storemem.New()})
	if err != nil {
		return err
	}
	defer h.Close()
	self, sensors, err := fleet(ctx, h, n)
	if err != nil {
		return err
	}
	gw, err := device.NewGateway(device.GatewayConfig{
		Config: device.Config{Identity: self, Transport: mem.NewTransport(h), MinBackoff: 100 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	defer gw.Close()
	if err := gw.Connect(ctx); err != nil {
		return err
	}
	start := time.Now()
	clients, err := connect(ctx, gw, sensors)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d sub-devices are online after %v\n", len(clients), time.Since(start).Round(100*time.Millisecond))
	for i, c := range clients {
		if err := c.PostProperties(ctx, map[string]any{"Temperature": 18 + i%7}); err != nil {
			return err
		}
	}
	answer, err := h.InvokeService(ctx, clients[42].Device(), "identify", nil, hub.CallOptions{})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "sub-device 42 answers %s\n", answer.Data)
	return comeBack(ctx, out, h, gw, n)
}

// comeBack cuts the gateway's connection and waits for everybody.
func comeBack(ctx context.Context, out io.Writer, h *hub.Hub, gw *device.Gateway, n int) error {
	if _, err := h.DisableDevice(ctx, gw.Device()); err != nil {
		return err
	}
	if _, err := h.EnableDevice(ctx, gw.Device()); err != nil {
		return err
	}
	start := time.Now()
	for h.Connected() != n+1 {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fmt.Fprintf(out, "all are back %v after the gateway was lost\n", time.Since(start).Round(time.Second))
	return nil
}

// fleet makes the products and devices at the platform.
func fleet(ctx context.Context, h *hub.Hub, n int) (self hal.Identity, sensors []hal.Identity, err error) {
	for _, p := range []hub.Product{{Key: gatewayProduct, Gateway: true}, {Key: sensorProduct}} {
		if _, err := h.CreateProduct(ctx, p); err != nil {
			return self, nil, err
		}
	}
	register := func(id iot.DeviceID) (hal.Identity, error) {
		d, err := h.RegisterDevice(ctx, hub.Device{ID: id})
		return hal.Identity{Device: d.ID, DeviceSecret: d.Secret}, err
	}
	if self, err = register(iot.DeviceID{Product: gatewayProduct, Name: "basement"}); err != nil {
		return self, nil, err
	}
	for i := range n {
		s, err := register(iot.DeviceID{Product: sensorProduct, Name: fmt.Sprintf("sensor-%03d", i)})
		if err != nil {
			return self, nil, err
		}
		sensors = append(sensors, s)
	}
	return self, sensors, nil
}

// connect logs all sensors in; the gateway does so in batches.
func connect(ctx context.Context, gw *device.Gateway, sensors []hal.Identity) ([]*device.Client, error) {
	clients := make([]*device.Client, len(sensors))
	errs := make(chan error, len(sensors))
	var all sync.WaitGroup
	for i, s := range sensors {
		c, err := gw.SubDevice(device.Config{Identity: s, Handlers: device.Handlers{
			Services: map[string]device.ServiceFunc{
				"identify": device.Service(func(context.Context, struct{}) (map[string]string, error) {
					return map[string]string{"Name": s.Device.Name}, nil
				}),
			},
		}})
		if err != nil {
			return nil, err
		}
		clients[i] = c
		all.Go(func() {
			if err := c.Connect(ctx); err != nil {
				errs <- fmt.Errorf("%v: %w", s.Device, err)
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
		return clients, nil
	}
}
