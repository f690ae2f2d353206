// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

// memSlot is a hal.Slot in memory.
type memSlot struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (s *memSlot) Load(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.all[name]; ok {
		return v, nil
	}
	return nil, hal.ErrNoValue
}

func (s *memSlot) Store(_ context.Context, name string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string][]byte)
	}
	s.all[name] = value
	return nil
}

func identityOf(d hub.Device) hal.Identity {
	return hal.Identity{Device: d.ID, DeviceSecret: d.Secret}
}

// connectSubs connects many sub-devices at once.
func connectSubs(t *testing.T, g *device.Gateway, devices []hub.Device, handlers device.Handlers) []*device.Client {
	t.Helper()
	var all sync.WaitGroup
	subs := make([]*device.Client, len(devices))
	for i, d := range devices {
		c, err := g.SubDevice(device.Config{Identity: identityOf(d), Handlers: handlers})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		subs[i] = c
		all.Go(func() {
			if err := c.Connect(t.Context()); err != nil {
				t.Errorf("%v: %v", d.ID, err)
			}
		})
	}
	all.Wait()
	return subs
}

func TestGatewayBringsSubDevicesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := hub.DefaultLimits()
		h := iottest.NewHub(t, iottest.WithLimits(limits))
		g := iottest.NewGateway(t, h, device.GatewayConfig{})
		var devices []hub.Device
		for range 100 {
			devices = append(devices, h.Register())
		}
		subs := connectSubs(t, g, devices, device.Handlers{
			Services: map[string]device.ServiceFunc{"who": device.Service(func(context.Context, struct{}) (map[string]string, error) {
				return map[string]string{"are": "you"}, nil
			})},
		})
		if n := h.Connected(); n != 101 {
			t.Errorf("%d devices are online, want 101", n)
		}
		if bound, err := g.Topology(t.Context()); err != nil || len(bound) != 100 {
			t.Errorf("%d are bound, %v", len(bound), err)
		}
		if err := subs[7].PostProperties(t.Context(), map[string]int{"Power": 7}); err != nil {
			t.Error(err)
		}
		if got := h.Values(devices[7].ID)["Power"]; got != "7" {
			t.Errorf("Power is %q", got)
		}
		if a, err := h.InvokeService(t.Context(), devices[8].ID, "who", nil, hub.CallOptions{}); err != nil || string(a.Data) != `{"are":"you"}` {
			t.Errorf("service: %s, %v", a.Data, err)
		}
		if _, err := h.DisableDevice(t.Context(), g.Device()); err != nil { // cuts the connection
			t.Fatal(err)
		}
		synctest.Wait()
		if n := h.Connected(); n != 0 {
			t.Errorf("%d devices are online without their gateway", n)
		}
		if err := subs[7].Report(map[string]any{"Power": 8}); err != nil { // waits for the connection
			t.Error(err)
		}
		if _, err := h.EnableDevice(t.Context(), g.Device()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for h.Connected() != 101 {
			time.Sleep(100 * time.Millisecond)
			if time.Since(start) > 5*time.Minute {
				t.Fatalf("only %d devices came back", h.Connected())
			}
		}
		time.Sleep(time.Minute)
		if got := h.Values(devices[7].ID)["Power"]; got != "8" {
			t.Errorf("Power is %q after the reconnect", got)
		}
		if err := subs[7].Close(); err != nil {
			t.Error(err)
		}
		if h.Online(devices[7].ID) {
			t.Error("a closed sub-device is online")
		}
		for e, err := range h.Messages(t.Context(), hub.MessageQuery{Device: devices[7].ID}) {
			if err != nil || e.Via != g.Device() {
				t.Errorf("%+v, %v", e, err)
			}
		}
	})
}

// A sub-device without a secret registers once; after that the slot has it.
func TestSubDeviceRegistersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		product, err := h.UpdateProduct(t.Context(), iottest.ProductKey, func(p *hub.Product) { p.DynamicRegister = true })
		if err != nil {
			t.Fatal(err)
		}
		g := iottest.NewGateway(t, h, device.GatewayConfig{})
		for _, secret := range []hal.Identity{{}, {ProductSecret: product.Secret}} {
			d := h.Register()
			secret.Device = d.ID
			slot := &memSlot{}
			for range 2 {
				c, err := g.SubDevice(device.Config{Identity: secret, Slot: slot})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Connect(t.Context()); err != nil || !h.Online(d.ID) {
					t.Fatalf("%v: %v", d.ID, err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
			c, err := g.SubDevice(device.Config{Identity: secret, Slot: &memSlot{}}) // forgot everything
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Connect(t.Context()); !errors.Is(err, &alink.CodeError{Code: alink.CodeAlreadyActive}) {
				t.Errorf("registered again: %v", err)
			}
			_ = c.Close()
		}
	})
}

func TestGatewayHearsThePlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		var heard iottest.Recorder[string]
		g := iottest.NewGateway(t, h, device.GatewayConfig{
			Config: device.Config{Handlers: device.Handlers{
				Request: func(_ context.Context, path string, _ json.RawMessage) (any, error) { heard.Add(path); return nil, nil },
			}},
			AddSubDevices: func(_ context.Context, ids []iot.DeviceID) error { heard.Add(fmt.Sprint("add ", ids)); return nil },
			TopologyChanged: func(_ context.Context, c device.TopologyChange) {
				heard.Add(fmt.Sprint("topology ", c.Status, c.Devices))
			},
			Permit: func(_ context.Context, pk string, d time.Duration) error {
				heard.Add(fmt.Sprint("permit ", pk, d))
				return nil
			},
		})
		d := h.Register()
		if err := g.Found(t.Context(), d.ID); err != nil {
			t.Error(err)
		}
		if err := h.AskToAdd(t.Context(), g.Device(), d.ID); err != nil {
			t.Error(err)
		}
		if err := h.Permit(t.Context(), g.Device(), iottest.ProductKey, time.Minute); err != nil {
			t.Error(err)
		}
		if err := h.AddSubDevices(t.Context(), g.Device(), d.ID); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		want := []string{fmt.Sprint("add ", []iot.DeviceID{d.ID}), "permit " + iottest.ProductKey + "1m0s", fmt.Sprint("topology ", 0, []iot.DeviceID{d.ID})}
		if got := heard.All(); !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	})
}

// A sub-device that another gateway takes over comes back there only.
func TestSubDeviceOfTwoGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		one, two := iottest.NewGateway(t, h, device.GatewayConfig{}), iottest.NewGateway(t, h, device.GatewayConfig{})
		d := h.Register()
		first := connectSubs(t, one, []hub.Device{d}, device.Handlers{})[0]
		if _, err := one.SubDevice(device.Config{Transport: mem.NewTransport(h)}); err == nil {
			t.Error("a sub-device with a transport is taken")
		}
		second := connectSubs(t, two, []hub.Device{d}, device.Handlers{})[0]
		synctest.Wait()
		if first.Online() || !second.Online() {
			t.Errorf("online through the first: %v, the second: %v", first.Online(), second.Online())
		}
		_ = first.Close()
		if gw, online, err := h.GatewayOf(t.Context(), d.ID); gw != two.Device() || !online || err != nil {
			t.Errorf("bound to %v, online %v, %v", gw, online, err)
		}
		if err := two.Unbind(t.Context(), d.ID); err != nil {
			t.Error(err)
		}
		if h.Online(d.ID) {
			t.Error("online although unbound")
		}
	})
}

// A sub-device that went to another gateway comes back alone to one that remembers it.
func TestSubDeviceComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		gws := []*device.Gateway{iottest.NewGateway(t, h, device.GatewayConfig{}), iottest.NewGateway(t, h, device.GatewayConfig{})}
		d := h.Register()
		for i := range 4 {
			g := gws[i%2]
			c := connectSubs(t, g, []hub.Device{d}, device.Handlers{})[0]
			if gw, online, err := h.GatewayOf(t.Context(), d.ID); gw != g.Device() || !online || err != nil {
				t.Errorf("turn %d: bound to %v, online %v, %v", i, gw, online, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A gateway without room refuses one more, and with UnbindIdle only when all of its
// sub-devices are in use.
func TestGatewayIsFull(t *testing.T) {
	for _, unbind := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			limits := hub.DefaultLimits()
			limits.SubDevices = 2
			h := iottest.NewHub(t, iottest.WithLimits(limits))
			g := iottest.NewGateway(t, h, device.GatewayConfig{UnbindIdle: unbind})
			devices := []hub.Device{h.Register(), h.Register(), h.Register()}
			subs := connectSubs(t, g, devices[:2], device.Handlers{})
			full := &alink.CodeError{Code: alink.CodeTopoFull}
			connect := func() error {
				c, err := g.SubDevice(device.Config{Identity: identityOf(devices[2])})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return c.Connect(t.Context())
			}
			if err := connect(); !errors.Is(err, full) {
				t.Errorf("all in use: %v", err)
			}
			time.Sleep(time.Minute)
			if err := subs[0].Close(); err != nil {
				t.Error(err)
			}
			if err := connect(); unbind && err != nil || !unbind && !errors.Is(err, full) {
				t.Errorf("one idle, UnbindIdle %v: %v", unbind, err)
			}
			if !subs[1].Online() || !h.Online(devices[1].ID) {
				t.Error("a sub-device in use is offline")
			}
		})
	}
}

// One sub-device that is refused costs the others of its request nothing.
func TestOneOfABatchIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		g := iottest.NewGateway(t, h, device.GatewayConfig{})
		var devices []hub.Device
		for range 12 {
			devices = append(devices, h.Register())
		}
		const bad = 7 // only its login is refused
		_, err := h.DisableDevice(t.Context(), devices[bad].ID)
		if err := errors.Join(err, h.AddSubDevices(t.Context(), g.Device(), devices[bad].ID)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for i, d := range devices {
			c, err := g.SubDevice(device.Config{Identity: identityOf(d)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			all.Go(func() {
				err := c.Connect(ctx)
				if refused := errors.Is(err, &alink.CodeError{Code: alink.CodeDisabled}); refused != (i == bad) || err != nil && !refused {
					t.Errorf("sub-device %d: %v", i, err)
				}
			})
		}
		all.Wait()
	})
}

// cutTransport loses the connection, once, before a message gets through.
type cutTransport struct {
	hal.Transport
	before string // the path of that message
	lose   sync.Once
	cut    func()
}

type cutConn struct {
	hal.Conn
	t *cutTransport
}

func (t *cutTransport) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	conn, err := t.Transport.Connect(ctx, l, recv)
	if err != nil {
		return nil, err
	}
	return &cutConn{conn, t}, nil
}

func (c *cutConn) Publish(ctx context.Context, m iot.Message) error {
	if strings.HasSuffix(m.Topic, c.t.before) {
		c.t.lose.Do(func() {
			c.t.cut()
			<-c.Done()
		})
	}
	return c.Conn.Publish(ctx, m)
}

// Sub-devices wait for a gateway that is lost while they come in.
func TestGatewayIsLostDuringLogin(t *testing.T) {
	for _, before := range []string{"/thing/topo/get", "/thing/topo/add", "/combine/batch_login"} {
		synctest.Test(t, func(t *testing.T) {
			h := iottest.NewHub(t)
			tr := &cutTransport{Transport: mem.NewTransport(h), before: before}
			if _, err := h.CreateProduct(t.Context(), hub.Product{Key: iottest.GatewayProductKey, Gateway: true}); err != nil {
				t.Fatal(err)
			}
			gw, err := h.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: iottest.GatewayProductKey, Name: "gateway"}})
			if err != nil {
				t.Fatal(err)
			}
			tr.cut = func() {
				if _, err := h.DisableDevice(context.Background(), gw.ID); err != nil {
					t.Error(err)
				}
				time.AfterFunc(10*time.Second, func() { _, _ = h.EnableDevice(context.Background(), gw.ID) })
			}
			g, err := device.NewGateway(device.GatewayConfig{Config: device.Config{Identity: identityOf(gw), Transport: tr}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = g.Close() })
			if err := g.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			subs := connectSubs(t, g, []hub.Device{h.Register(), h.Register(), h.Register()}, device.Handlers{})
			for _, c := range subs {
				if !c.Online() || !h.Online(c.Device()) {
					t.Errorf("lost before %s: %v is offline", before, c.Device())
				}
			}
		})
	}
}
