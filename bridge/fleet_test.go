// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

// fleetSize is how many devices TestFleet has: IOT_BRIDGE_FLEET, or 700.
func fleetSize(t testing.TB) int {
	t.Helper()
	text := os.Getenv("IOT_BRIDGE_FLEET")
	if text == "" {
		return 700
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func memory() (heap, stacks int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), int(m.StackInuse)
}

// Many devices over seven gateways, with the platform's documented limits, post
// every ten seconds; none is lost; a bridge that was restarted has all back soon.
func TestFleet(t *testing.T) {
	n := fleetSize(t)
	h := iottest.NewHub(t, iottest.WithLimits(hub.DefaultLimits()))
	gws, ids := gateways(t, h, "fleet", 7), devices(t, h, n)
	for i := range gws {
		gws[i].LoginRate = 30
	}
	var network mem.Network
	for round := range 2 {
		l, err := network.Listen(fmt.Sprint(round))
		if err != nil {
			t.Fatal(err)
		}
		heap, stacks := memory()
		goroutines := runtime.NumGoroutine()
		b := newBridge(t, bridge.Config{Gateways: gws, Identities: ids})
		s := &bridge.Server{
			Bridge: b, Handler: bridge.HandlerFunc(serveFramed),
			Decoder: func() bridge.Decoder { return framed{} }, Encoder: func() bridge.Encoder { return framed{} },
		}
		var serving sync.WaitGroup
		serving.Go(func() { _ = s.Serve(l) })
		start := time.Now()
		peers := dialFleet(t, &network, fmt.Sprint(round), n)
		took := time.Since(start)
		if st := b.Stats(); st.Sessions != int64(n) || h.Connected() != n+7 {
			t.Errorf("%+v, %d connected", st, h.Connected())
		}
		heap2, stacks2 := memory()
		t.Logf("%d devices in %v, %v a gateway; a device has %d bytes of heap and %d of stacks in %.1f goroutines, the test's end and the hub's session among them",
			n, took.Round(time.Millisecond), b.Stats().Carried, (heap2-heap)/n, (stacks2-stacks)/n, float64(runtime.NumGoroutine()-goroutines)/float64(n))
		profile(t)
		for turn := range 2 {
			begin := time.Now()
			postFleet(t, peers, turn)
			t.Logf("%d posts in %v", n, time.Since(begin).Round(time.Millisecond))
			if left := 10*time.Second - time.Since(begin); turn == 0 && n >= 10000 {
				time.Sleep(left)
			}
		}
		if st := b.Stats(); st.Sent != int64(2*n) || st.Dropped != 0 || st.Refused != 0 {
			t.Errorf("%+v", st)
		}
		for i := range n {
			if got := h.Values(ids[fmt.Sprint(i)].Device)["T"]; got != fmt.Sprintf(`"%d-1"`, i) {
				t.Fatalf("device %d has %s", i, got)
			}
		}
		for _, p := range peers {
			_ = p.Close()
		}
		_ = s.Close()
		serving.Wait()
		_ = b.Close()
	}
}

// profile writes what is in use to the file IOT_BRIDGE_PROFILE, if that is set.
func profile(t testing.TB) {
	t.Helper()
	path := os.Getenv("IOT_BRIDGE_PROFILE")
	if path == "" {
		return
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := pprof.WriteHeapProfile(f); err != nil {
		t.Error(err)
	}
}

func dialFleet(t *testing.T, network *mem.Network, addr string, n int) []*peer {
	t.Helper()
	peers := make([]*peer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			nc, err := network.DialContext(context.Background(), "tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			peers[i] = &peer{nc, t}
			if _, err := nc.Write(frame(fmt.Sprint("login ", i))); err != nil {
				t.Error(err)
			}
			if got, err := peers[i].read(); got != "in" {
				t.Errorf("device %d: %q %v", i, got, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return peers
}

func postFleet(t *testing.T, peers []*peer, turn int) {
	t.Helper()
	var all sync.WaitGroup
	for i, p := range peers {
		all.Go(func() {
			text := fmt.Sprintf("%d-%d", i, turn)
			if _, err := p.Write(frame(text)); err != nil {
				t.Error(err)
			}
			if got, err := p.read(); got != text {
				t.Errorf("device %d: %q %v", i, got, err)
			}
		})
	}
	all.Wait()
}
