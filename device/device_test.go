// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		var lamp *device.Client
		var heard iottest.Recorder[string]
		lamp = iottest.NewDevice(t, h, device.Handlers{
			SetProperties: func(ctx context.Context, values map[string]json.RawMessage) error {
				if string(values["Power"]) == "9" {
					return &alink.CodeError{Code: 100001, Message: "no such power"}
				}
				return lamp.PostProperties(ctx, values) // a handler may call back
			},
			GetProperties: func(context.Context, []string) (any, error) { return map[string]int{"Power": 1}, nil },
			Services: map[string]device.ServiceFunc{
				"add": device.Service(func(_ context.Context, in struct{ A, B int }) (map[string]int, error) {
					return map[string]int{"Sum": in.A + in.B}, nil
				}),
			},
			RRPC:    func(_ context.Context, _ string, p []byte) ([]byte, error) { return append([]byte("got "), p...), nil },
			Message: func(_ context.Context, topic string, p []byte) { heard.Add(topic + " " + string(p)) },
			Enabled: func(_ context.Context, on bool) { heard.Add(fmt.Sprint("enabled ", on)) },
		})
		id := lamp.Device()
		ctx := t.Context()
		if err := lamp.PostProperties(ctx, map[string]any{"Power": 0, "Level": device.Timed{Value: 5, Time: time.UnixMilli(1524448722000)}}); err != nil {
			t.Fatal(err)
		}
		if err := lamp.PostEvent(ctx, "alarm", map[string]any{"Level": 2}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.SetProperties(ctx, id, map[string]any{"Power": 1}, hub.CallOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := h.Values(id); got["Power"] != "1" || got["Level"] != "5" {
			t.Errorf("values %v", got)
		}
		_, err := h.SetProperties(ctx, id, map[string]any{"Power": 9}, hub.CallOptions{})
		if e, ok := errors.AsType[*alink.CodeError](err); !ok || e.Code != 100001 {
			t.Errorf("refused set: %v", err)
		}
		if a, err := h.FetchProperties(ctx, id, "Power"); err != nil || string(a.Data) != `{"Power":1}` {
			t.Errorf("get: %+v, %v", a, err)
		}
		for _, async := range []bool{false, true} {
			a, err := h.InvokeService(ctx, id, "add", map[string]int{"A": 2, "B": 3}, hub.CallOptions{Async: async})
			if err != nil || string(a.Data) != `{"Sum":5}` {
				t.Errorf("service: %+v, %v", a, err)
			}
		}
		if _, err := h.InvokeService(ctx, id, "none", nil, hub.CallOptions{}); err == nil {
			t.Error("a service that does not exist answered")
		}
		if got, err := h.RRPC(ctx, id, []byte{0xaa, 1}, ""); err != nil || string(got) != "got \xaa\x01" {
			t.Errorf("RRPC: %q, %v", got, err)
		}
		if err := lamp.UpdateTags(ctx, map[string]string{"room": "hall"}); err != nil {
			t.Fatal(err)
		}
		if d, _ := h.Hub.Device(ctx, id); d.Tags["room"] != "hall" {
			t.Errorf("tags %v", d.Tags)
		}
		if err := lamp.DeleteTags(ctx, "room"); err != nil {
			t.Fatal(err)
		}
		if now, err := lamp.Time(ctx); err != nil || !now.Equal(time.Now()) {
			t.Errorf("time %v, %v", now, err)
		}
		if err := lamp.Subscribe(ctx, "user/get", 1); err != nil {
			t.Fatal(err)
		}
		if err := lamp.Subscribe(ctx, "/sys/foreign/device/#", 1); !errors.Is(err, device.ErrRefusedTopic) {
			t.Errorf("foreign topic: %v", err)
		}
		if _, err := h.Publish(ctx, id, "/"+id.String()+"/user/get", []byte("hi"), hub.SendOptions{QoS: 1}); err != nil {
			t.Fatal(err)
		}
		if err := lamp.Publish(ctx, "user/update", []byte("raw"), iot.AtLeastOnce); err != nil {
			t.Fatal(err)
		}
		if _, err := h.DisableDevice(ctx, id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := heard.All(); len(got) != 2 || got[0] != "/"+id.String()+"/user/get hi" || got[1] != "enabled false" {
			t.Errorf("heard %q", got)
		}
		if lamp.Online() {
			t.Error("online though disabled")
		}
	})
}

func TestConnectRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		d := h.Register()
		c, err := device.New(device.Config{Identity: hal.Identity{Device: d.ID}, Transport: memTransport(h)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = c.Connect(t.Context())
		if r, ok := errors.AsType[*hal.RefusedError](err); !ok || r.Reason != hal.BadCredentials {
			t.Errorf("connect: %v", err)
		}
	})
}

func TestReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		d := h.Register()
		var heard iottest.Recorder[string]
		c := iottest.Connect(t, h, d, device.Config{Handlers: device.Handlers{
			Message: func(_ context.Context, _ string, p []byte) { heard.Add(string(p)) },
		}})
		if err := c.Subscribe(t.Context(), "user/get", 1); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := h.RotateSecret(t.Context(), d.ID, d.Secret); err != nil { // closes the connection
				t.Fatal(err)
			}
			synctest.Wait()
			if c.Online() {
				t.Fatal("online after the platform closed the connection")
			}
			if err := c.PostProperties(t.Context(), map[string]int{"a": 1}); !errors.Is(err, device.ErrOffline) {
				t.Errorf("post while offline: %v", err)
			}
			if err := c.WaitOnline(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Publish(t.Context(), d.ID, "/"+d.ID.String()+"/user/get", []byte("hi"), hub.SendOptions{}); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if got := len(heard.All()); got != 3 {
			t.Errorf("heard %d messages, want one a connection", got)
		}
	})
}

func TestBackoffKeepsTheLoginLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t, iottest.WithLimits(hub.DefaultLimits()))
		d := h.Register()
		a := iottest.Connect(t, h, d, device.Config{Random: rand.NewChaCha8([32]byte{1})})
		b := iottest.Connect(t, h, d, device.Config{Random: rand.NewChaCha8([32]byte{2})}) // two devices with one identity
		start := time.Now()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		logins := 0
		for _, e := range h.Log.All() {
			if e.Operation == hub.OpConnect && e.Time.After(start) {
				logins++
			}
		}
		if logins > 10*5+5 {
			t.Errorf("%d login attempts in ten minutes", logins)
		}
		if a.Online() == b.Online() && a.Online() {
			t.Error("both are online")
		}
	})
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		d := h.Register()
		c, err := device.New(device.Config{
			Identity: hal.Identity{Device: d.ID, DeviceSecret: d.Secret}, Transport: memTransport(h), ReportQueue: 3,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 4 {
			if err := c.Report(map[string]any{"n": i}); errors.Is(err, device.ErrQueueFull) != (i == 3) {
				t.Errorf("report %d: %v", i, err)
			}
			time.Sleep(time.Second)
		}
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c.Waiting() != 0 {
			t.Errorf("%d reports wait", c.Waiting())
		}
		n := 0
		for m, err := range h.Messages(t.Context(), hub.MessageQuery{Device: d.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Params map[string]struct{ Value int }
			}
			if err := json.Unmarshal(m.Payload, &got); err != nil || got.Params["n"].Value != n {
				t.Errorf("message %d: %s", n, m.Payload)
			}
			n++
		}
		if n != 3 {
			t.Errorf("%d reports arrived, want 3", n)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		block := make(chan struct{})
		_ = h.Mux().HandleFunc("app/slow", func(context.Context, *alink.Request) alink.Reply { return alink.Reply{Code: 200, None: true} })
		c := iottest.NewDevice(t, h, device.Handlers{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Call(t.Context(), "app/slow", struct{}{}); !errors.Is(err, device.ErrClosed) {
				t.Errorf("call: %v", err)
			}
			close(block)
		})
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		for name, err := range map[string]error{
			"connect": c.Connect(t.Context()), "post": c.PostProperties(t.Context(), nil), "report": c.Report(nil),
			"wait": c.WaitOnline(t.Context()),
		} {
			if !errors.Is(err, device.ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
	})
}

func TestCallTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		_ = h.Mux().HandleFunc("app/slow", func(context.Context, *alink.Request) alink.Reply { return alink.Reply{Code: 200, None: true} })
		c := iottest.NewDevice(t, h, device.Handlers{})
		start := time.Now()
		if _, err := c.Call(t.Context(), "app/slow", struct{}{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_, err := c.Call(t.Context(), "app/unknown", struct{}{})
		if e, ok := errors.AsType[*alink.CodeError](err); !ok || e.Code != hub.CodeUnknownMethod {
			t.Errorf("unknown method: %v", err)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	good := device.Config{Identity: hal.Identity{}, Transport: memTransport(nil)}
	for name, change := range map[string]func(*device.Config){
		"no identity":   func(c *device.Config) { c.Identity = nil },
		"no transport":  func(c *device.Config) { c.Transport = nil },
		"keep-alive":    func(c *device.Config) { c.KeepAlive = time.Second },
		"wrong backoff": func(c *device.Config) { c.MinBackoff = time.Hour },
	} {
		cfg := good
		change(&cfg)
		if _, err := device.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
