// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

func value(n int) bridge.Message { return bridge.Properties(map[string]any{"N": n}) }

// The later session wins, and the device stays logged in.
func TestSecondSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		for _, exclusive := range []bool{false, true} {
			b := newBridge(t, bridge.Config{Gateways: gateways(t, h, fmt.Sprint("g", exclusive), 1), Identities: devices(t, h, 1), Exclusive: exclusive})
			first, ch := online(t, b, "0", bridge.SessionOptions{})
			second := bridge.NewSession("0", newChannel(), bridge.SessionOptions{})
			err := b.Online(t.Context(), second)
			if exclusive {
				if !errors.Is(err, bridge.ErrInUse) || first.Cause() != nil {
					t.Errorf("exclusive: %v, first %v", err, first.Cause())
				}
				continue
			}
			if err != nil || !errors.Is(first.Cause(), bridge.ErrReplaced) || !errors.Is(ch.why(), bridge.ErrReplaced) || !h.Online(first.Device()) {
				t.Errorf("%v, first %v, online %v", err, first.Cause(), h.Online(first.Device()))
			}
			if s := b.Stats(); s.Sessions != 1 {
				t.Errorf("stats %+v", s)
			}
		}
	})
}

func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		ids := devices(t, h, 2)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids})
		s, ch := online(t, b, "0", bridge.SessionOptions{Heartbeat: 30 * time.Second, Probes: 2})
		for range 5 {
			time.Sleep(80 * time.Second)
			s.Heard()
		}
		if s.Cause() != nil {
			t.Fatalf("ended: %v", s.Cause())
		}
		start := time.Now()
		<-ch.closed
		if d := time.Since(start); d != 90*time.Second || !errors.Is(ch.why(), bridge.ErrSilent) {
			t.Errorf("%v after %v", ch.why(), d)
		}
		eventually(t, "logged out", func() bool { return !h.Online(ids["0"].Device) })
	})
}

// The one who is told may let the session live.
func TestTimeoutEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		told := make(chan *bridge.Session, 10)
		b := newBridge(t, bridge.Config{
			Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, 1),
			TimedOut: func(_ context.Context, s *bridge.Session) { told <- s },
		})
		s, _ := online(t, b, "0", bridge.SessionOptions{Heartbeat: 10 * time.Second})
		start := time.Now()
		if got := <-told; got != s || time.Since(start) != 10*time.Second {
			t.Errorf("told after %v", time.Since(start))
		}
		<-told
		if d := time.Since(start); d != 20*time.Second || s.Cause() != nil {
			t.Errorf("told again after %v, %v", d, s.Cause())
		}
	})
}

// Messages wait while the platform is away, in order; beyond the bound the newest
// are dropped, and everything is counted.
func TestPlatformAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, 1), Queue: 10, RoomWait: time.Second})
		s, _ := online(t, b, "0", bridge.SessionOptions{})
		gw := iot.DeviceID{Product: gatewayProduct, Name: "gateway-g0"}
		if _, err := h.DisableDevice(t.Context(), gw); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var results []*bridge.Result
		for i := range 12 {
			results = append(results, b.PublishAsync(t.Context(), "0", value(i)))
		}
		for i, r := range results[10:] {
			if !errors.Is(r.Err(), bridge.ErrQueueFull) {
				t.Errorf("message %d: %v", 10+i, r.Err())
			}
		}
		if got := b.Stats(); got.Waiting != 10 || got.Dropped != 2 {
			t.Errorf("%+v", got)
		}
		if _, err := h.EnableDevice(t.Context(), gw); err != nil {
			t.Fatal(err)
		}
		for i, r := range results[:10] {
			if err := r.Wait(t.Context()); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if got := h.Values(s.Device())["N"]; got != "9" {
			t.Errorf("N is %s", got)
		}
		want := bridge.Stats{Sessions: 1, Sent: 10, Dropped: 2, Carried: []int{1}}
		if diff := cmp.Diff(want, b.Stats()); diff != "" {
			t.Error(diff)
		}
	})
}

// A device whose connection ends while messages wait is not logged out before
// they are sent.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		ids := devices(t, h, 1)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids, Linger: 10 * time.Minute})
		online(t, b, "0", bridge.SessionOptions{})
		gw := iot.DeviceID{Product: gatewayProduct, Name: "gateway-g0"}
		if _, err := h.DisableDevice(t.Context(), gw); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r := b.PublishAsync(t.Context(), "0", value(1))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		time.AfterFunc(time.Minute, func() { _, _ = h.EnableDevice(context.Background(), gw) })
		if err := b.Offline(ctx, "0"); err != nil {
			t.Error(err)
		}
		if err := r.Wait(ctx); err != nil {
			t.Error(err)
		}
		if h.Online(ids["0"].Device) {
			t.Error("still online")
		}
	})
}

// A bridge that lost a device to another does not fight for it.
func TestTwoBridges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		ids := devices(t, h, 1)
		one := newBridge(t, bridge.Config{Gateways: gateways(t, h, "one", 1), Identities: ids})
		two := newBridge(t, bridge.Config{Gateways: gateways(t, h, "two", 1), Identities: ids})
		_, first := online(t, one, "0", bridge.SessionOptions{})
		second, _ := online(t, two, "0", bridge.SessionOptions{})
		<-first.closed
		if !errors.Is(first.why(), bridge.ErrTaken) {
			t.Errorf("first ended with %v", first.why())
		}
		time.Sleep(10 * time.Minute)
		if second.Cause() != nil || !h.Online(second.Device()) {
			t.Errorf("second: %v, online %v", second.Cause(), h.Online(second.Device()))
		}
		if s := one.Stats(); s.Carried[0] != 0 {
			t.Errorf("the first carries %v", s.Carried)
		}
	})
}

// Devices are spread, stay where they are, and move when their gateway is lost.
func TestGatewayLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 60
		h := iottest.NewHub(t)
		gws := gateways(t, h, "g", 3)
		b := newBridge(t, bridge.Config{Gateways: gws, Identities: devices(t, h, n), MoveAfter: 20 * time.Second})
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { online(t, b, fmt.Sprint(i), bridge.SessionOptions{}) })
		}
		all.Wait()
		before := b.Stats().Carried
		if slices.Min(before) < 8 || before[0]+before[1]+before[2] != n {
			t.Errorf("spread %v", before)
		}
		lost := gws[1].Identity
		id, _ := lost.Identity(t.Context())
		if _, err := h.DisableDevice(t.Context(), id.Device); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var results []*bridge.Result
		for i := range n {
			results = append(results, b.PublishAsync(t.Context(), fmt.Sprint(i), value(i)))
		}
		for i, r := range results {
			if err := r.Wait(t.Context()); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
		after := b.Stats()
		if after.Carried[1] != 0 || after.Carried[0]+after.Carried[2] != n || after.Sessions != n || h.Connected() != n+2 {
			t.Errorf("%+v, connected %d", after, h.Connected())
		}
	})
}

// The order of the gateways does not matter, and each is there once.
func TestPlacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 60
		h := iottest.NewHub(t)
		gws, ids := gateways(t, h, "g", 3), devices(t, h, n)
		carried := func() []int {
			b := newBridge(t, bridge.Config{Gateways: gws, Identities: ids})
			for i := range n {
				online(t, b, fmt.Sprint(i), bridge.SessionOptions{})
			}
			defer b.Close()
			return b.Stats().Carried
		}
		forth := carried()
		slices.Reverse(gws)
		back := carried()
		slices.Reverse(back)
		if diff := cmp.Diff(forth, back); diff != "" || slices.Min(forth) == 0 {
			t.Errorf("placed by position: %v %v", forth, back)
		}
		if _, err := bridge.New(bridge.Config{Gateways: append(gws, gws[1]), Identities: ids}); err == nil {
			t.Error("one gateway twice is accepted")
		}
	})
}

func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 2), Identities: devices(t, h, 5), Capacity: 2})
		for i := range 4 {
			online(t, b, fmt.Sprint(i), bridge.SessionOptions{})
		}
		if err := b.Online(t.Context(), bridge.NewSession("4", newChannel(), bridge.SessionOptions{})); !errors.Is(err, bridge.ErrFull) {
			t.Errorf("fifth: %v", err)
		}
		if err := b.Offline(t.Context(), "2"); err != nil {
			t.Error(err)
		}
		online(t, b, "4", bridge.SessionOptions{})
	})
}

func TestPlatformRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		ids := devices(t, h, 2)
		wrong := ids["1"]
		wrong.DeviceSecret = ids["0"].DeviceSecret
		ids["1"] = wrong
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids})
		if err := b.Online(t.Context(), bridge.NewSession("1", newChannel(), bridge.SessionOptions{})); err == nil {
			t.Error("a wrong secret is accepted")
		}
		s, ch := online(t, b, "0", bridge.SessionOptions{})
		if _, err := h.DisableDevice(t.Context(), s.Device()); err != nil {
			t.Fatal(err)
		}
		<-ch.closed
		if !errors.Is(ch.why(), bridge.ErrTaken) {
			t.Errorf("disabled: %v", ch.why())
		}
	})
}

// Everything the platform may want arrives as one kind of request.
func TestDownlinkKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		var heard iottest.Recorder[string]
		b := newBridge(t, bridge.Config{
			Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, 1),
			Downlink: bridge.DownlinkFunc(func(_ context.Context, r *bridge.Request) (any, error) {
				heard.Add(fmt.Sprint(r.Kind, " ", r.Name, " ", string(r.Params)))
				if r.Kind == bridge.RRPC {
					return []byte("pong"), nil
				}
				return map[string]int{"A": 1}, nil
			}),
		})
		s, _ := online(t, b, "0", bridge.SessionOptions{})
		if _, err := h.SetProperties(t.Context(), s.Device(), map[string]int{"A": 1}, hub.CallOptions{}); err != nil {
			t.Error(err)
		}
		if a, err := h.InvokeService(t.Context(), s.Device(), "go", map[string]int{"B": 2}, hub.CallOptions{}); err != nil || string(a.Data) != `{"A":1}` {
			t.Errorf("%s %v", a.Data, err)
		}
		if a, err := h.RRPC(t.Context(), s.Device(), []byte("ping"), ""); err != nil || string(a) != "pong" {
			t.Errorf("%s %v", a, err)
		}
		want := []string{`1  {"A":1}`, `3 go {"B":2}`, `5  ping`}
		if diff := cmp.Diff(want, heard.All()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestIdentityFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "devices.json")
		write := func(text string) {
			if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		entry := func(sn, name string) string {
			return fmt.Sprintf(`%q:{"productKey":"a1meters000","deviceName":%q,"deviceSecret":"hush"}`, sn, name)
		}
		write("{" + entry("1", "one") + "}")
		f, err := bridge.OpenIdentities(path)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := f.Lookup(t.Context(), "1"); err != nil || id.Device.Name != "one" || id.DeviceSecret.Reveal() != "hush" {
			t.Errorf("%v %v", id, err)
		}
		if _, err := f.Lookup(t.Context(), "2"); !errors.Is(err, bridge.ErrUnmapped) {
			t.Errorf("unmapped: %v", err)
		}
		write("{" + entry("2", "two") + "}")
		time.Sleep(time.Second)
		if id, err := f.Lookup(t.Context(), "2"); err != nil || id.Device.Name != "two" {
			t.Errorf("%v %v", id, err)
		}
		for _, bad := range []string{"{", `{"1":{"productKey":"a1meters000"}}`, "[]"} {
			write(bad)
			time.Sleep(time.Second)
			if _, err := f.Lookup(t.Context(), "2"); err != nil || f.Err() == nil {
				t.Errorf("after %q: %v, %v", bad, err, f.Err())
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := f.Lookup(t.Context(), "2"); err != nil || !errors.Is(f.Err(), os.ErrNotExist) {
			t.Errorf("without a file: %v, %v", err, f.Err())
		}
		write("{" + entry("3", "three") + "}")
		time.Sleep(time.Second)
		if _, err := f.Lookup(t.Context(), "3"); err != nil || f.Err() != nil {
			t.Errorf("the file is back: %v, %v", err, f.Err())
		}
		if s := fmt.Sprintf("%+v %v", f.Err(), f); strings.Contains(s, "hush") {
			t.Errorf("a secret shows: %s", s)
		}
	})
}

func FuzzParseIdentities(f *testing.F) {
	f.Add([]byte(`{"1":{"productKey":"a1meters000","deviceName":"one","deviceSecret":"s"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := bridge.ParseIdentities(raw)
		for sn, id := range all {
			if err != nil || id.Device.Validate() != nil {
				t.Errorf("%q: %v, %v", sn, id.Device, err)
			}
		}
	})
}

func TestConfig(t *testing.T) {
	ok := []device.GatewayConfig{{}}
	for name, cfg := range map[string]bridge.Config{
		"no gateways":    {Identities: bridge.Map{}},
		"no identities":  {Gateways: ok},
		"negative queue": {Gateways: ok, Identities: bridge.Map{}, Queue: -1},
		"no transport":   {Gateways: ok, Identities: bridge.Map{}},
	} {
		if _, err := bridge.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTable(t *testing.T) {
	table := bridge.Table{{Name: "speed", Property: "Speed", Scale: 0.1}, {Name: "on", Property: "Power"}, {Name: "t", Property: "Temperature", Scale: 0.5, Offset: -40}}
	got := table.Apply(map[string]any{"speed": uint16(605), "on": true, "t": 100, "other": 1})
	want := map[string]any{"Speed": 60.5, "Power": true, "Temperature": 10.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for p, v := range want {
		name, back, ok := table.Invert(p, v)
		if !ok || table.Apply(map[string]any{name: back})[p] != v {
			t.Errorf("%s: %s %v %v", p, name, back, ok)
		}
	}
	if _, _, ok := table.Invert("Speed", "fast"); ok {
		t.Error("a word is a speed")
	}
	if _, _, ok := table.Invert("None", 1); ok {
		t.Error("a property without a row")
	}
}

// Bits become numbers from 0, and are not written back.
func TestTableMask(t *testing.T) {
	table := bridge.Table{
		{Name: "status", Mask: 1 << 31, Property: "Door"},
		{Name: "status", Mask: 3 << 8, Property: "Load", Scale: 50},
		{Name: "word", Mask: 1, Property: "Word"},
		{Name: "half", Mask: 1, Property: "Half"},
	}
	got := table.Apply(map[string]any{"status": uint32(1<<31 | 2<<8 | 1), "word": "no number", "half": 0.5})
	if diff := cmp.Diff(map[string]any{"Door": uint64(1), "Load": 100.0}, got); diff != "" {
		t.Error(diff)
	}
	if _, _, ok := table.Invert("Door", 1); ok {
		t.Error("one bit is written back")
	}
}

// What is written with a few digits stays so.
func TestScale(t *testing.T) {
	for _, c := range []struct{ n, factor, want float64 }{
		{3, 0.1, 0.3}, {7, 0.01, 0.07}, {-55, 0.1, -5.5}, {3, 0, 3}, {3, 1, 3}, {3, -0.1, -0.3}, {3, 2.5, 7.5}, {6, 1e-300, 6e-300},
	} {
		got := bridge.Scale(c.n, c.factor)
		if got != c.want || bridge.Unscale(got, c.factor) != c.n {
			t.Errorf("%v times %v is %v, and back %v", c.n, c.factor, got, bridge.Unscale(got, c.factor))
		}
	}
}
