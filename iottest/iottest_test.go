// SPDX-License-Identifier: Apache-2.0

package iottest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
	storemem "github.com/openalink/iot/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A whole platform, a device and an application, in virtual time.
func TestPlatformInsideGoTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		var lamp *device.Client
		lamp = iottest.NewDevice(t, h, device.Handlers{
			SetProperties: func(ctx context.Context, values map[string]json.RawMessage) error {
				return lamp.PostProperties(ctx, values)
			},
		})
		if _, err := h.SetProperties(t.Context(), lamp.Device(), map[string]int{"Power": 1}, hub.CallOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := h.Values(lamp.Device())["Power"]; got != "1" {
			t.Errorf("Power is %s", got)
		}
	})
}

func TestAWeekInAnInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := storemem.New()
		h := iottest.NewHub(t, iottest.WithStore(st), iottest.WithLimits(hub.DefaultLimits()))
		d := h.Register()
		c := iottest.Connect(t, h, d, device.Config{})
		_ = c.Close()
		a, err := h.SetProperties(t.Context(), d.ID, map[string]int{"Power": 1}, hub.CallOptions{Queue: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * 24 * time.Hour)
		if got, err := h.Downlink(t.Context(), d.ID, a.MessageID); err != nil || got.State != hub.Expired {
			t.Errorf("after eight days: %+v, %v", got, err)
		}
	})
}

func TestFaults(t *testing.T) {
	h := iottest.NewHub(t, iottest.WithTCP())
	var f iottest.Faults
	transport := &mqtt.Transport{URL: "tcp://" + h.Addr, Net: &f}
	c := iottest.Connect(t, h, h.Register(), device.Config{Transport: transport, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond})
	f.Refuse(true)
	if _, err := f.DialContext(t.Context(), "tcp", h.Addr); !errors.Is(err, iottest.ErrCut) {
		t.Errorf("refused dial: %v", err)
	}
	f.Cut()
	for c.Online() {
		time.Sleep(time.Millisecond)
	}
	f.Refuse(false)
	f.CutAfter(2000) // every connection dies soon
	for i := range 20 {
		if err := c.Report(map[string]any{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	f.CutAfter(0)
	f.Delay(time.Millisecond)
	for c.Waiting() > 0 {
		time.Sleep(time.Millisecond)
	}
	if got := h.Values(c.Device())["n"]; got != "19" {
		t.Errorf("last value %s", got)
	}
	if _, err := h.Log.Wait(t.Context(), func(e hub.LogEntry) bool { return e.Operation == hub.OpDisconnect }); err != nil {
		t.Error(err)
	}
}

func TestRecorderWaitEndsWithItsContext(t *testing.T) {
	var r iottest.Recorder[int]
	r.Add(1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := r.Wait(ctx, func(n int) bool { return n == 2 }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if n, err := r.Wait(t.Context(), func(n int) bool { return n == 1 }); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestTCP(t *testing.T) {
	h := iottest.NewHub(t, iottest.WithTCP())
	c, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}
