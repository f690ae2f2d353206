// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	iot "github.com/openalink/iot"
)

// loginGuard counts failed logins. Beyond the limit of an address it is not heard
// any more, but for names that were online from there; beyond that of a name,
// addresses that failed for it are not. The true device comes from an address
// where nothing failed in its name: whatever others try, there or elsewhere, it is
// heard.
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
func (h *Hub) tooMany(ctx context.Context, a net.Addr, id iot.DeviceID) bool {
	addr, ok := addrOf(a)
	if h.guard.rate.unlimited() || !ok {
		return false
	}
	byAddr, byName := h.guard.full(addr, id)
	return byName || byAddr && !h.wasHere(ctx, addr, id)
}

// full reports whether an address failed too often, and whether it failed for a
// name that did.
func (g *loginGuard) full(addr netip.Prefix, id iot.DeviceID) (byAddr, byName bool) {
	now := time.Now().UnixNano()
	g.mu.Lock()
	defer g.mu.Unlock()
	failed := g.pairs[guardPair{addr, id}] > now
	over := g.over(g.addrs[addr], now)
	return over, failed && (over || g.over(g.names[id], now))
}

// wasHere reports whether a device was online last from an address, which it may
// share with many.
func (h *Hub) wasHere(ctx context.Context, addr netip.Prefix, id iot.DeviceID) bool {
	e, err := h.store.Get(ctx, deviceKey(prefixStatus, id))
	if err != nil {
		return false
	}
	var last PresenceEvent
	if decodeJSON(e.Value, &last) != nil {
		return false
	}
	ap, err := netip.ParseAddrPort(last.Addr)
	return err == nil && addr.Contains(ap.Addr().Unmap())
}

func (g *loginGuard) over(state, now int64) bool {
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
