// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/bar"
)

func (p *platform) device(change func(*device.Config)) *device.Client {
	p.t.Helper()
	cfg := device.Config{
		Identity: hal.Identity{Device: lab, DeviceSecret: auth.NewSecret(labSecret)}, Transport: http2.New(p.url() + "/"),
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := device.New(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	if err := c.Connect(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// The program of a device does not change: all it can do over MQTT it can here.
func TestDevice(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	set := make(chan map[string]json.RawMessage, 1)
	custom := make(chan string, 1)
	c := p.device(func(cfg *device.Config) {
		cfg.Handlers.SetProperties = func(_ context.Context, values map[string]json.RawMessage) error {
			set <- values
			return nil
		}
		cfg.Handlers.Services = map[string]device.ServiceFunc{
			"reboot": func(context.Context, json.RawMessage) (any, error) { return map[string]int{"in": 3}, nil },
		}
		cfg.Handlers.RRPC = func(_ context.Context, _ string, payload []byte) ([]byte, error) { return append(payload, '!'), nil }
		cfg.Handlers.Message = func(_ context.Context, name string, payload []byte) { custom <- name + " " + string(payload) }
	})
	ctx := t.Context()
	if err := c.PostProperties(ctx, map[string]any{"a": 7}); err != nil {
		t.Errorf("post: %v", err)
	}
	values, err := p.hub.Properties(ctx, lab)
	if err != nil || string(values["a"].Value) != "7" {
		t.Errorf("values %v, %v", values, err)
	}
	if presence, err := p.hub.Presence(ctx, lab); err != nil || presence.State != hub.Online {
		t.Errorf("presence %v, %v", presence, err)
	}
	if _, err := p.hub.SetProperties(ctx, lab, map[string]any{"b": 1}, hub.CallOptions{}); err != nil {
		t.Errorf("set: %v", err)
	} else if got := <-set; string(got["b"]) != "1" {
		t.Errorf("set %s", got)
	}
	if out, err := p.hub.InvokeService(ctx, lab, "reboot", nil, hub.CallOptions{}); err != nil {
		t.Errorf("service: %v, %v", out, err)
	}
	if out, err := p.hub.RRPC(ctx, lab, []byte("ping"), ""); err != nil || string(out) != "ping!" {
		t.Errorf("RRPC: %q, %v", out, err)
	}
	get := "/a1LabPk00001/lab_dev_01/user/get"
	if err := c.Subscribe(ctx, get, 1); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	mid, err := p.hub.Publish(ctx, lab, get, []byte("hello"), hub.SendOptions{QoS: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-custom; got != get+" hello" {
		t.Errorf("got %q", got)
	}
	p.await("delivered", func() bool {
		d, err := p.hub.Downlink(ctx, lab, mid)
		return err == nil && d.State == hub.Delivered
	})
	if err := c.Subscribe(ctx, "/a1LabPk00001/other/user/get", 1); !errors.Is(err, device.ErrRefusedTopic) {
		t.Errorf("foreign topic: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	p.await("offline", func() bool {
		presence, err := p.hub.Presence(ctx, lab)
		return err == nil && presence.State == hub.Offline && presence.Last.Cause == hal.CauseClient
	})
}

// await waits for what must come.
func (p *platform) await(what string, come func() bool) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); !come(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A newer connection ends the older, a disabled device's ends at once, and a device
// comes back by itself.
func TestKicked(t *testing.T) {
	bar.Within(t, 100*time.Millisecond, func() time.Duration { return disable(t) })
}

// disable returns how long after the order a connection was open.
func disable(t *testing.T) time.Duration {
	p := serve(t, hub.NoLimits(), nil)
	var conns []hal.Conn
	for range 2 {
		c, err := http2.New(p.url()).Connect(t.Context(), login(labSecret), ignore)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	<-conns[0].Done()
	if err := conns[0].Publish(t.Context(), iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update"}); !errors.Is(err, hal.ErrGone) {
		t.Errorf("publish on an old connection: %v", err)
	}
	if err := conns[1].Publish(t.Context(), iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update", QoS: 1}); err != nil {
		t.Errorf("publish: %v", err)
	}
	err := conns[1].Publish(t.Context(), iot.Message{Topic: "/a1LabPk00001/other/user/update", QoS: 1})
	if _, ok := errors.AsType[*hal.RejectedError](err); !ok {
		t.Errorf("foreign topic: %v", err)
	}
	start := time.Now()
	if _, err := p.hub.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	<-conns[1].Done()
	return time.Since(start)
}

// breakable is a network that can lose its connections.
type breakable struct{ conns chan net.Conn }

func (b breakable) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		b.conns <- nc
	}
	return nc, err
}

// What was not acknowledged before the connection broke comes again.
func TestReconnect(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	lines := breakable{make(chan net.Conn, 10)}
	got := make(chan string, 10)
	c := p.device(func(cfg *device.Config) {
		cfg.Transport = &http2.Transport{URL: p.url(), Net: lines}
		cfg.Handlers.Message = func(_ context.Context, _ string, payload []byte) { got <- string(payload) }
	})
	get := "/a1LabPk00001/lab_dev_01/user/get"
	if err := c.Subscribe(t.Context(), get, 1); err != nil {
		t.Fatal(err)
	}
	_ = (<-lines.conns).Close()
	p.await("offline", func() bool {
		presence, err := p.hub.Presence(t.Context(), lab)
		return err == nil && (presence.State == hub.Offline || len(lines.conns) > 0)
	})
	if _, err := p.hub.Publish(t.Context(), lab, get, []byte("while away"), hub.SendOptions{QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m != "while away" {
		t.Errorf("got %q", m)
	}
}

// A report the platform does not process is not repeated for ever.
func TestReportRejected(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	c := p.device(nil)
	if err := c.ReportEvent("a+b", nil); err != nil { // no such topic
		t.Fatal(err)
	}
	if err := c.Report(map[string]any{"a": 3}); err != nil {
		t.Fatal(err)
	}
	p.await("the report behind", func() bool {
		values, err := p.hub.Properties(t.Context(), lab)
		return err == nil && string(values["a"].Value) == "3"
	})
}
