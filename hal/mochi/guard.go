// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"

	"github.com/openalink/iot/hal"
)

// Guard stands between devices and a mochi broker. It is safe for concurrent use.
type Guard struct {
	cfg    Config
	server *mqtt.Server
	last   atomic.Uint64 // number of the newest connection
	fwd    *forwarder    // nil without Config.Forward

	running sync.WaitGroup // connections

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
}

// New adds a Guard to a server, which need not serve yet. The error tells what is
// wrong with cfg, or is one of mochi's. The Guard ends with the server.
func New(server *mqtt.Server, cfg Config) (*Guard, error) {
	if server == nil {
		return nil, errNoServer
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	g := &Guard{cfg: cfg, server: server, conns: make(map[*conn]struct{})}
	if cfg.Forward {
		g.fwd = newForwarder(server, cfg.Logger)
	}
	if err := server.AddHook(&hook{g: g}, nil); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

// Conns returns how many connections of devices are open, undecided ones
// included.
func (g *Guard) Conns() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

// Shutdown takes no device any more, reads nothing more, waits until every QoS 1
// message in flight is acknowledged, and closes the devices' connections with
// hal.CauseServerStop. When ctx ends first it closes them at once and returns the
// context's error. The server goes on with its other clients.
func (g *Guard) Shutdown(ctx context.Context) error {
	for _, c := range g.stopAccepting() {
		c.drain()
	}
	drained := make(chan struct{})
	go func() {
		g.running.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		g.closeAll()
		<-drained
		return ctx.Err()
	}
}

// closeAll ends the devices' connections and waits for their end.
func (g *Guard) closeAll() {
	for _, c := range g.stopAccepting() {
		c.abort(hal.CauseServerStop)
	}
	g.running.Wait()
}

func (g *Guard) stopAccepting() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	conns := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		conns = append(conns, c)
	}
	return conns
}

// stop ends the Guard.
func (g *Guard) stop() {
	g.closeAll()
	if g.fwd != nil {
		g.fwd.close()
	}
}

var errClosed = errors.New("mochi: no room for another device")

// serve runs one connection through mochi.
func (g *Guard) serve(id string, nc net.Conn, establish func(string, net.Conn) error) (err error) {
	c := newConn(g, id, nc)
	if !g.add(c) {
		_ = nc.Close()
		return errClosed
	}
	defer g.remove(c)
	defer c.finish()
	defer func() {
		if p := recover(); p != nil {
			g.cfg.Logger.Error("panic on a device's connection", "addr", nc.RemoteAddr(), "panic", p)
			c.note(hal.CauseNotKept)
			if c.client != nil { // mochi got no chance to
				g.server.Clients.Delete(c.client.ID)
			}
			err = errPanic
		}
	}()
	return establish(id, c)
}

var errPanic = errors.New("mochi: connection ended by a panic")

func (g *Guard) add(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.conns) >= g.cfg.MaxConns {
		return false
	}
	g.conns[c] = struct{}{}
	g.running.Add(1)
	return true
}

func (g *Guard) remove(c *conn) {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
	g.running.Done()
}
