// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
)

// gateway is one of the bridge's own identities at the platform.
type gateway struct {
	b     *Bridge
	index int
	name  string // devices are placed by it
	dev   *device.Gateway
	out   outbox

	carries int                                 // devices; guarded by b.mu
	lost    bool                                // for longer than MoveAfter; guarded by b.mu
	coming  map[*member]context.CancelCauseFunc // logins under way; guarded by b.mu

	mu     sync.Mutex
	timer  *time.Timer
	losses int // of its connection
}

func (b *Bridge) newGateway(i int, cfg device.GatewayConfig) (*gateway, error) {
	g := &gateway{b: b, index: i, name: placeName(i, cfg.Identity), coming: make(map[*member]context.CancelCauseFunc)}
	for _, other := range b.gateways {
		if other.name == g.name {
			return nil, fmt.Errorf("bridge: gateways %d and %d are both %s", other.index, i, g.name)
		}
	}
	g.out = outbox{b: b, most: b.cfg.InFlight}
	cfg.UnbindIdle = true // else those that are away, or placed elsewhere by now, hold places
	h := &cfg.Handlers
	up, down, message := h.Connected, h.Disconnected, h.Message
	h.Connected = func(ctx context.Context) {
		g.up()
		if up != nil {
			up(ctx)
		}
	}
	h.Disconnected = func(ctx context.Context) {
		g.down()
		if down != nil {
			down(ctx)
		}
	}
	h.Message = func(ctx context.Context, name string, payload []byte) {
		if !b.broadcast(ctx, name, payload) && message != nil {
			message(ctx, name, payload)
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = b.cfg.Logger
	}
	var err error
	if g.dev, err = device.NewGateway(cfg); err != nil {
		return nil, fmt.Errorf("bridge: gateway %d: %w", i, err)
	}
	return g, nil
}

// keepTrying connects a gateway whose first attempt failed.
func (g *gateway) keepTrying() {
	g.down()
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		select {
		case <-time.After(pause):
		case <-g.b.ctx.Done():
			return
		}
		err := g.dev.Connect(g.b.ctx)
		if err == nil {
			return
		}
		g.b.cfg.Logger.Warn("gateway not connected", "gateway", g.index, "error", err)
	}
}

func (g *gateway) up() {
	g.mu.Lock()
	if g.timer != nil {
		g.timer.Stop()
	}
	g.mu.Unlock()
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	g.lost = false
	for _, other := range g.b.gateways {
		if other.lost {
			other.release()
		}
	}
}

// release has the logins that wait for g look for another gateway; b.mu is held.
func (g *gateway) release() {
	for _, cancel := range g.coming {
		cancel(errElsewhere)
	}
}

// down starts the time after which the gateway's devices move.
func (g *gateway) down() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losses++
	if len(g.b.cfg.Gateways) > 1 && g.b.ctx.Err() == nil {
		g.timer = time.AfterFunc(g.b.cfg.MoveAfter, func() { g.b.spawn(g.evacuate) })
	}
}

func (g *gateway) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
}

// connection numbers the gateway's connections.
func (g *gateway) connection() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.losses
}

// evacuate moves the devices of a lost gateway to others.
func (g *gateway) evacuate() {
	g.b.mu.Lock()
	g.lost = true
	g.b.mu.Unlock()
	if g.dev.Online() { // looked at after lost was set, which up takes back later
		g.up()
		return
	}
	g.b.mu.Lock()
	g.release()
	var all []*member
	for _, m := range g.b.members {
		if m.gateway() == g {
			all = append(all, m)
		}
	}
	g.b.mu.Unlock()
	g.b.cfg.Logger.Warn("gateway lost, its devices move", "gateway", g.index, "devices", len(all))
	for _, m := range all {
		g.b.spawn(func() { g.b.move(m, g) })
	}
}

// place finds the gateway of an identity and counts it there: of those with room
// the one with the highest hash, so that the others keep theirs when one comes or
// goes. Lost ones come last. b.mu is held.
func (b *Bridge) place(identity string) *gateway {
	var best *gateway
	var most uint64
	for _, lost := range []bool{false, true} {
		for _, g := range b.gateways {
			if g.lost != lost || g.carries >= b.cfg.Capacity {
				continue
			}
			if w := weight(g.name, identity); best == nil || w > most {
				best, most = g, w
			}
		}
		if best != nil {
			best.carries++
			return best
		}
	}
	return nil
}

// placeName is what a gateway is known by before it was ever connected: its device,
// or its place in the configuration where only a connection tells.
func placeName(i int, identity hal.Identities) string {
	switch id := identity.(type) {
	case hal.Identity:
		return id.Device.String()
	case Self:
		if device, err := id.device(); err == nil {
			return device.String()
		}
	}
	return fmt.Sprintf("number %d", i)
}

func weight(gateway, identity string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(identity))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(gateway))
	w := h.Sum64() // its high bits follow the last bytes badly
	w = (w ^ w>>33) * 0xff51afd7ed558ccd
	w = (w ^ w>>33) * 0xc4ceb9fe1a85ec53
	return w ^ w>>33
}
