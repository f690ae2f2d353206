// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

// away takes gateways from the platform, and returns how they come back.
func away(t *testing.T, h *iottest.Hub, names ...string) (back func()) {
	t.Helper()
	for _, name := range names {
		if _, err := h.DisableDevice(t.Context(), iot.DeviceID{Product: gatewayProduct, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	return func() {
		for _, name := range names {
			if _, err := h.EnableDevice(context.Background(), iot.DeviceID{Product: gatewayProduct, Name: name}); err != nil {
				t.Error(err)
			}
		}
	}
}

// A device that comes back while its last session is being ended has a session that
// works.
func TestBackDuringOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, 1)})
		online(t, b, "0", bridge.SessionOptions{})
		back := away(t, h, "gateway-g0")
		waiting := b.PublishAsync(t.Context(), "0", value(1))
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ended <- b.Offline(ctx, "0") // waits for the platform, in vain
		}()
		synctest.Wait()
		s := bridge.NewSession("0", newChannel(), bridge.SessionOptions{})
		time.AfterFunc(2*time.Minute, back)
		if err := b.Online(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(<-ended, b.Publish(t.Context(), "0", value(2))); err != nil {
			t.Error(err)
		}
		if err := waiting.Wait(t.Context()); !errors.Is(err, bridge.ErrOffline) {
			t.Errorf("what waited: %v", err)
		}
		if st := b.Stats(); st.Sessions != 1 || st.Waiting != 0 || st.Carried[0] != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// Who waits for room when the device is logged out hears of it, and nothing stays in
// the count.
func TestRoomOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, 1), Queue: 1, RoomWait: time.Hour})
		online(t, b, "0", bridge.SessionOptions{})
		away(t, h, "gateway-g0")
		first := b.PublishAsync(t.Context(), "0", value(1))
		second := make(chan *bridge.Result, 1)
		go func() { second <- b.PublishAsync(t.Context(), "0", value(2)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Offline(ctx, "0"); err != nil {
			t.Error(err)
		}
		for i, r := range []*bridge.Result{first, <-second} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := r.Wait(ctx); !errors.Is(err, bridge.ErrOffline) {
				t.Errorf("message %d: %v", i, err)
			}
		}
		if st := b.Stats(); st.Waiting != 0 || st.Dropped != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// closing is a store during whose Swap something happens.
type closing struct {
	bridge.Sessions
	during func()
}

func (c *closing) Swap(s *bridge.Session) *bridge.Session {
	c.during()
	return c.Sessions.Swap(s)
}

// A session that opens while the Bridge closes does not outlive it.
func TestCloseDuringOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		store := new(closing)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, 1), Sessions: store})
		store.during = func() { _ = b.Close() }
		ch := newChannel()
		if err := b.Online(t.Context(), bridge.NewSession("0", ch, bridge.SessionOptions{Heartbeat: time.Minute})); !errors.Is(err, bridge.ErrClosed) {
			t.Errorf("online: %v", err)
		}
		if _, ok := b.Session("0"); ok || b.Stats().Sessions != 0 || !errors.Is(ch.why(), bridge.ErrClosed) {
			t.Errorf("a session is left: %+v, channel %v", b.Stats(), ch.why())
		}
	})
}

// A device the platform puts out while its session opens is told.
func TestTakenDuringOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		ids, store := devices(t, h, 1), new(closing)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids, Sessions: store})
		store.during = func() {
			if _, err := h.DisableDevice(context.Background(), ids["0"].Device); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		s, ch := online(t, b, "0", bridge.SessionOptions{})
		synctest.Wait()
		if !errors.Is(s.Cause(), bridge.ErrTaken) || !errors.Is(ch.why(), bridge.ErrTaken) {
			t.Errorf("session ended with %v, channel with %v", s.Cause(), ch.why())
		}
		if st := b.Stats(); st.Sessions != 0 || st.Carried[0] != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A Session is used once: neither an open one nor an ended one opens again.
func TestSessionTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: devices(t, h, 1)})
		s, _ := online(t, b, "0", bridge.SessionOptions{})
		if err := b.Online(t.Context(), s); err == nil || s.Cause() != nil || b.Stats().Sessions != 1 {
			t.Errorf("open: %v, %v, %+v", err, s.Cause(), b.Stats())
		}
		if err := b.Offline(t.Context(), "0"); err != nil {
			t.Error(err)
		}
		if err := b.Online(t.Context(), s); err == nil || b.Stats().Sessions != 0 || b.Stats().Carried[0] != 0 {
			t.Errorf("ended: %v, %+v", err, b.Stats())
		}
	})
}

// Devices that come while their gateway is lost go to another when it counts as lost,
// and those that found none up go to the first that comes back.
func TestOnlineWhileLost(t *testing.T) {
	for _, all := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const n = 20
			h := iottest.NewHub(t)
			b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 2), Identities: devices(t, h, n), MoveAfter: 20 * time.Second})
			away(t, h, "gateway-g1")
			if all {
				back := away(t, h, "gateway-g0")
				time.AfterFunc(5*time.Minute, back)
				time.Sleep(time.Minute)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			var coming sync.WaitGroup
			for i := range n {
				coming.Go(func() {
					if err := b.Online(ctx, bridge.NewSession(fmt.Sprint(i), newChannel(), bridge.SessionOptions{})); err != nil {
						t.Errorf("all %v, device %d: %v", all, i, err)
					}
				})
			}
			coming.Wait()
			if st := b.Stats(); st.Carried[0] != n || st.Carried[1] != 0 {
				t.Errorf("all %v: %+v", all, st)
			}
		})
	}
}

// changing is Identities that change.
type changing struct {
	mu  sync.Mutex
	all bridge.Map
}

func (c *changing) Lookup(ctx context.Context, identity string) (hal.Identity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.Lookup(ctx, identity)
}

func (c *changing) set(all bridge.Map) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = all
}

// A device whose mapping is gone or became another is not reached any more, from
// either side; what waits goes out as the device it came from.
func TestMappingChanges(t *testing.T) {
	for _, change := range []string{"removed", "another"} {
		for _, side := range []string{"up", "down"} {
			synctest.Test(t, func(t *testing.T) {
				h := iottest.NewHub(t)
				before := devices(t, h, 2)
				ids := &changing{all: before}
				b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids, Downlink: bridge.Forward{}})
				s, ch := online(t, b, "0", bridge.SessionOptions{})
				after := bridge.Map{}
				if change == "another" {
					after["0"] = before["1"]
				}
				ids.set(after)
				var err error
				if side == "up" {
					err = b.Publish(t.Context(), "0", value(1))
				} else {
					_, err = h.SetProperties(t.Context(), before["0"].Device, map[string]int{"N": 1}, hub.CallOptions{})
				}
				if err == nil || !errors.Is(ch.why(), bridge.ErrUnmapped) || len(ch.got) != 0 {
					t.Errorf("%s, %s: %v, channel got %v and ended with %v", change, side, err, ch.got, ch.why())
				}
				eventually(t, "logged out", func() bool { return !h.Online(s.Device()) })
				if change == "removed" {
					return
				}
				online(t, b, "0", bridge.SessionOptions{})
				if err := b.Publish(t.Context(), "0", value(7)); err != nil || h.Values(before["1"].Device)["N"] != "7" {
					t.Errorf("as another: %v", err)
				}
			})
		}
	}
}

// unsure does not always know.
type unsure struct {
	bridge.Map
	err error
}

func (u *unsure) Lookup(ctx context.Context, identity string) (hal.Identity, error) {
	if u.err != nil {
		return hal.Identity{}, u.err
	}
	return u.Map.Lookup(ctx, identity)
}

// Identities that cannot be asked refuse a message, not a device.
func TestLookupFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		ids := &unsure{Map: devices(t, h, 1)}
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids})
		s, _ := online(t, b, "0", bridge.SessionOptions{})
		ids.err = context.DeadlineExceeded
		if err := b.Publish(t.Context(), "0", value(1)); !errors.Is(err, ids.err) || s.Cause() != nil {
			t.Errorf("%v, session %v", err, s.Cause())
		}
		ids.err = nil
		if err := b.Publish(t.Context(), "0", value(2)); err != nil {
			t.Error(err)
		}
	})
}

// A device that comes and goes while the platform is away costs one goroutine, and
// lingers from when it went last.
func TestComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := iottest.NewHub(t)
		ids := devices(t, h, 1)
		b := newBridge(t, bridge.Config{Gateways: gateways(t, h, "g", 1), Identities: ids, Linger: time.Minute})
		online(t, b, "0", bridge.SessionOptions{})
		away(t, h, "gateway-g0")
		waiting := b.PublishAsync(t.Context(), "0", value(1))
		before := runtime.NumGoroutine()
		for range 100 {
			s, _ := online(t, b, "0", bridge.SessionOptions{Heartbeat: 500 * time.Millisecond})
			<-s.Done() // nothing is heard of it
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 10 {
			t.Errorf("%d goroutines more", more)
		}
		gone := time.Now()
		if err := waiting.Wait(t.Context()); !errors.Is(err, bridge.ErrOffline) || time.Since(gone) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(gone))
		}
		if st := b.Stats(); st.Sessions != 0 || st.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}
