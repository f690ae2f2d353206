// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"net"
	"net/netip"
	"sync"
	"time"

	iot "github.com/openalink/iot"
)

// loginGuard counts failed logins. Beyond the limit of an address it is not heard
// any more; beyond that of a name, addresses that failed for it are not. The true
// device comes from an address of its own, where nothing failed: whatever others
// try in its name, it is heard.
type loginGuard struct {
	rate rate

	mu    sync.Mutex
	addrs map[netip.Prefix]int64 // rate states
	names map[iot.DeviceID]int64
	pairs map[guardPair]int64
}

type guardPair struct {
	addr netip.Prefix
	name iot.DeviceID
}

// maxGuarded bounds each of the guard's maps; a full one is swept, and when all of
// it is fresh forgotten, which errs on the side of the caller.
const maxGuarded = 20_000

func (g *loginGuard) init(l *Limits) {
	g.rate = newRate(l.FailedLogins, time.Minute)
	g.addrs = make(map[netip.Prefix]int64)
	g.names = make(map[iot.DeviceID]int64)
	g.pairs = make(map[guardPair]int64)
}

// addrOf returns what counts as one address: of IPv6 the network a host owns.
func addrOf(a net.Addr) (netip.Prefix, bool) {
	if a == nil {
		return netip.Prefix{}, false
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}, false
	}
	ip := ap.Addr().Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	return p, err == nil
}

// tooMany reports whether a login is not to be heard.
func (g *loginGuard) tooMany(a net.Addr, id iot.DeviceID) bool {
	addr, ok := addrOf(a)
	if g.rate.unlimited() || !ok {
		return false
	}
	now := time.Now().UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full(g.addrs[addr], now) {
		return true
	}
	return g.full(g.names[id], now) && g.pairs[guardPair{addr, id}] > now
}

func (g *loginGuard) full(state, now int64) bool {
	_, wait := g.rate.charge(state, now, 1)
	return wait > 0
}

// failed notes a failed login.
func (g *loginGuard) failed(a net.Addr, id iot.DeviceID) {
	addr, ok := addrOf(a)
	if g.rate.unlimited() || !ok {
		return
	}
	// id may be a view of a buffer.
	id = iot.DeviceID{Product: cloneTopic(id.Product), Name: cloneTopic(id.Name)}
	now := time.Now().UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	charge(g, g.addrs, addr, now)
	charge(g, g.names, id, now)
	makeRoom(g.pairs, now)
	g.pairs[guardPair{addr, id}] = now + g.rate.window
}

func charge[K comparable](g *loginGuard, all map[K]int64, k K, now int64) {
	makeRoom(all, now)
	if next, wait := g.rate.charge(all[k], now, 1); wait == 0 {
		all[k] = next
	}
}

func makeRoom[K comparable](all map[K]int64, now int64) {
	if len(all) < maxGuarded {
		return
	}
	for k, until := range all {
		if until <= now {
			delete(all, k)
		}
	}
	if len(all) >= maxGuarded {
		clear(all)
	}
}
