// SPDX-License-Identifier: Apache-2.0

package jt808_test

import (
	"errors"
	"flag"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/jt808"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/internal/party"
)

var (
	trackers = flag.Int("trackers", 300, "terminals of TestFleet")
	rounds   = flag.Int("rounds", 4, "locations each of them sends")
	every    = flag.Duration("every", 500*time.Millisecond, "time between them")
)

// most is how much memory of the bridge a terminal may take, in a fleet large
// enough that the rest does not count.
const (
	most  = 12 << 10
	large = 5000
)

// inUse returns the memory of this process that is in use.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// open brings the bridge and its server up, over MQTT to a platform elsewhere.
func (p *platformInfo) open(t testing.TB, ids bridge.Identities, port int) (*bridge.Bridge, *bridge.Server) {
	t.Helper()
	cfg := bridge.Config{Identities: ids}
	for i, secret := range p.Gateways {
		cfg.Gateways = append(cfg.Gateways, device.GatewayConfig{LoginRate: 30, Config: device.Config{
			Identity:  hal.Identity{Device: gatewayID(i), DeviceSecret: auth.NewSecret(secret)},
			Transport: &mqtt.Transport{URL: "mqtt://" + p.Addr},
		}})
	}
	b, err := bridge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &bridge.Server{
		Bridge: b, Handler: &jt808.Handler{Secret: []byte("hush")}, Decoder: jt808.NewDecoder, Encoder: jt808.NewEncoder,
		Address: "127.0.0.1", Ports: []int{port},
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b, s
}

func waitSessions(t testing.TB, b *bridge.Bridge, n int) time.Duration {
	t.Helper()
	begin := time.Now()
	for b.Stats().Sessions != int64(n) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%+v", b.Stats())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begin)
}

// Terminals in a process of their own, over TCP, report through a bridge over
// seven gateways, MQTT, to a platform in a third process with its documented
// limits. The bridge is restarted in the middle. Everything a terminal has to
// say arrives.
func TestFleet(t *testing.T) {
	n := *trackers
	platform := party.Start(t, rolePlatform)
	platform.Tell(n)
	before := inUse()
	var info platformInfo
	platform.Hear(&info)
	ids, err := bridge.ParseIdentities(info.Identities)
	if err != nil {
		t.Fatal(err)
	}
	info.Identities = nil
	b, s := info.open(t, ids, 0)
	addr := s.Addrs()[0].String()

	fleet := party.Start(t, roleTerminals)
	fleet.Tell(fleetOrder{Addr: addr, Terminals: n, Rounds: *rounds, Every: *every})
	took := waitSessions(t, b, n)
	each := (inUse() - before) / n
	t.Logf("%d terminals in after %v, %v a gateway; %d bytes of the bridge's memory each, %d goroutines in all",
		n, took.Round(time.Millisecond), b.Stats().Carried, each, runtime.NumGoroutine())
	fleet.Hear(new(string)) // all in
	fleet.Tell("go")
	time.Sleep(time.Duration(*rounds) * *every / 2)
	t.Logf("%d bytes each while they report", (inUse()-before)/n)
	if n >= large && each > most {
		t.Errorf("%d bytes of memory a terminal, more than %d", each, most)
	}

	port := s.Addrs()[0].(*net.TCPAddr).Port
	if err := errors.Join(s.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	b, _ = info.open(t, ids, port)
	t.Logf("restarted: all back after %v", waitSessions(t, b, n).Round(time.Millisecond))
	var done fleetResult
	fleet.Hear(&done)
	t.Logf("%d locations confirmed, %d repeated, in %v", done.Confirmed, done.Repeated, done.Took.Round(time.Millisecond))
	if want := n * *rounds; done.Confirmed != want {
		t.Errorf("%d of %d locations confirmed", done.Confirmed, want)
	}
	var arrived int
	platform.Tell("count")
	platform.Hear(&arrived)
	if want := n * *rounds; arrived != want {
		t.Errorf("%d of %d locations at the platform", arrived, want)
	}
}
