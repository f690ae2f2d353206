// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

const gatewayProduct = "a1bridge000"

// gateways registers n gateways with the hub.
func gateways(t testing.TB, h *iottest.Hub, prefix string, n int) []device.GatewayConfig {
	t.Helper()
	if _, err := h.Product(t.Context(), gatewayProduct); err != nil {
		if _, err := h.CreateProduct(t.Context(), hub.Product{Key: gatewayProduct, Gateway: true}); err != nil {
			t.Fatal(err)
		}
	}
	var all []device.GatewayConfig
	for i := range n {
		d, err := h.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: gatewayProduct, Name: fmt.Sprint("gateway-", prefix, i)}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, device.GatewayConfig{Config: device.Config{
			Identity: hal.Identity{Device: d.ID, DeviceSecret: d.Secret}, Transport: mem.NewTransport(h),
		}})
	}
	return all
}

// devices registers n devices, with the identities "0" to n-1.
func devices(t testing.TB, h *iottest.Hub, n int) bridge.Map {
	t.Helper()
	all := bridge.Map{}
	for i := range n {
		d := h.Register()
		all[fmt.Sprint(i)] = hal.Identity{Device: d.ID, DeviceSecret: d.Secret}
	}
	return all
}

func newBridge(t testing.TB, cfg bridge.Config) *bridge.Bridge {
	t.Helper()
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	b, err := bridge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// channel records what a session's channel is told.
type channel struct {
	mu     sync.Mutex
	got    []any
	cause  error
	closed chan struct{}
}

func newChannel() *channel { return &channel{closed: make(chan struct{})} }

func (c *channel) Send(_ context.Context, m any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, m)
	return nil
}

func (c *channel) Close(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.cause = cause
		close(c.closed)
	}
}

func (c *channel) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func online(t testing.TB, b *bridge.Bridge, identity string, opts bridge.SessionOptions) (*bridge.Session, *channel) {
	t.Helper()
	ch := newChannel()
	s := bridge.NewSession(identity, ch, opts)
	if err := b.Online(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s, ch
}

// eventually waits until ok, in virtual or real time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 5*time.Minute {
			t.Fatalf("never: %s", what)
		}
	}
}
