// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

const (
	defaultLoginRate = 25
	maxLoginBatch    = 5
	// loginsAtOnce is how many login requests may wait for their answers.
	loginsAtOnce = 8
	// bindBatch is how many sub-devices one topo/add or topo/delete names.
	bindBatch = 20
	// idleAtOnce is how many sub-devices are unbound for want of room, so that the
	// next ones find some.
	idleAtOnce = 100
)

// logins brings sub-devices in: those that wait go together, at a bounded rate,
// while the gateway is connected.
type logins struct {
	gw         *Gateway
	every      time.Duration
	batch      int
	unbindIdle bool

	mu      sync.Mutex
	waiting []*subLogin
	running bool // a goroutine works the list off
	closed  bool
	work    sync.WaitGroup
}

// subLogin is a sub-device that waits for its login.
type subLogin struct {
	id       hal.Identity
	clean    bool
	explicit bool
	done     chan error // capacity 1

	alone   bool // it goes without others: its last request was refused
	again   bool // the platform did not know it as a sub-device once
	refused bool // it could not be bound
	left    bool // nobody waits any more; guarded by logins.mu
}

func (l *logins) init(cfg *GatewayConfig) error {
	orDefault(&cfg.LoginRate, defaultLoginRate)
	orDefault(&cfg.LoginBatch, maxLoginBatch)
	if cfg.LoginRate < 0 || cfg.LoginBatch < 0 || cfg.LoginBatch > maxLoginBatch {
		return fmt.Errorf("device: login rate %d or batch %d out of range", cfg.LoginRate, cfg.LoginBatch)
	}
	l.every, l.batch, l.unbindIdle = time.Second/time.Duration(cfg.LoginRate), cfg.LoginBatch, cfg.UnbindIdle
	return nil
}

// connected starts the logins that waited for the gateway.
func (g *Gateway) connected() {
	g.logins.mu.Lock()
	defer g.logins.mu.Unlock()
	if g.logins.gw == nil { // the first time; a worker reads it without the lock
		g.logins.gw = g
	}
	g.logins.start()
}

// start runs the worker if there is work; mu is held.
func (l *logins) start() {
	if l.running || l.closed || l.gw == nil || len(l.waiting) == 0 {
		return
	}
	l.running = true
	l.work.Go(l.run)
}

// login waits until the platform answered a sub-device's login.
func (l *logins) login(ctx, client context.Context, s *subLogin) error {
	s.done = make(chan error, 1)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.waiting = append(l.waiting, s)
	l.start()
	l.mu.Unlock()
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		l.forget(s)
		return ctx.Err()
	case <-client.Done():
		l.forget(s)
		return ErrClosed
	}
}

func (l *logins) forget(s *subLogin) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.left = true
	for i, w := range l.waiting {
		if w == s {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
}

// close ends those that wait and returns when nothing runs.
func (l *logins) close() {
	l.mu.Lock()
	l.closed = true
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for _, s := range waiting {
		s.done <- ErrClosed
	}
	l.work.Wait()
}

// take returns up to n that wait. Without any, and nothing else to do, the worker
// must end.
func (l *logins) take(n int, busy bool) []*subLogin {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 || l.closed || !l.gw.Online() {
		l.running = busy
		return nil
	}
	n = min(n, len(l.waiting))
	some := append([]*subLogin(nil), l.waiting[:n]...)
	l.waiting = l.waiting[n:]
	return some
}

// run sends batches until nobody waits or the gateway is gone. Those who come in
// time for a request fill it up.
func (l *logins) run() {
	slots := make(chan struct{}, loginsAtOnce)
	pace := time.NewTicker(l.every)
	defer pace.Stop()
	var ready []*subLogin // the platform knows them as sub-devices
	for {
		if len(ready) < l.batch {
			some := l.take(bindBatch-len(ready), len(ready) > 0)
			if len(some) == 0 && len(ready) == 0 {
				return
			}
			if ready = append(ready, l.known(some, pace.C)...); len(ready) == 0 {
				continue
			}
		}
		<-pace.C
		slots <- struct{}{}
		n := l.together(ready)
		part := ready[:n:n]
		ready = ready[n:]
		l.work.Go(func() {
			defer func() { <-slots }()
			l.send(part)
		})
	}
}

// together returns how many of the first one request carries.
func (l *logins) together(ready []*subLogin) int {
	n := slices.IndexFunc(ready, func(s *subLogin) bool { return s.alone })
	switch {
	case n == 0:
		return 1
	case n < 0:
		n = len(ready)
	}
	return min(n, l.batch)
}

// known returns those of some the platform knows as sub-devices, after it bound
// the others. Who cannot be bound hears why.
func (l *logins) known(some []*subLogin, pace <-chan time.Time) []*subLogin {
	unbound, err := l.gw.unbound(some)
	if err != nil || len(unbound) == 0 {
		return some
	}
	<-pace
	l.bindFull(unbound)
	return slices.DeleteFunc(some, func(s *subLogin) bool { return s.refused })
}

// unbound returns those of some the platform does not know as sub-devices. It
// asks the platform once a connection.
func (g *Gateway) unbound(some []*subLogin) ([]*subLogin, error) {
	if len(some) == 0 {
		return nil, nil
	}
	g.mu.Lock()
	known := g.bound
	g.mu.Unlock()
	if known == nil {
		ids, err := g.Topology(g.ctx)
		if err != nil {
			return nil, err
		}
		known = make(map[iot.DeviceID]bool, len(ids))
		for _, id := range ids {
			known[id] = true
		}
		g.mu.Lock()
		g.bound = known
		g.mu.Unlock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []*subLogin
	for _, s := range some {
		if !known[s.id.Device] {
			list = append(list, s)
		}
	}
	return list, nil
}

// bindFull is bind where the gateway may have as many sub-devices as it can.
func (l *logins) bindFull(some []*subLogin) {
	err := l.tryBind(some)
	if l.unbindIdle && errors.Is(err, &alink.CodeError{Code: alink.CodeTopoFull}) && l.gw.unbindIdle() {
		err = l.tryBind(some)
	}
	l.bound(some, err)
}

// tryBind binds sub-devices, all or none.
func (l *logins) tryBind(some []*subLogin) error {
	ids := make([]hal.Identity, 0, len(some))
	for _, s := range some {
		ids = append(ids, s.id)
	}
	return l.gw.Bind(l.gw.ctx, ids...)
}

// bound notes how tryBind ended. When the platform refused several together, each
// is tried for itself. Other errors show at the login.
func (l *logins) bound(some []*subLogin, err error) {
	_, refused := errors.AsType[*alink.CodeError](err)
	switch {
	case refused && len(some) == 1:
		some[0].refused = true
		some[0].done <- err
	case refused:
		for i := range some {
			one := some[i : i+1]
			l.bound(one, l.tryBind(one))
		}
	case err == nil:
		l.gw.mu.Lock()
		defer l.gw.mu.Unlock()
		for _, s := range some {
			if l.gw.bound != nil {
				l.gw.bound[s.id.Device] = true
			}
		}
	}
}

// unbindIdle frees sub-devices without a Client, and reports whether there were
// any. Nobody it frees can be on its way in: the worker, which calls it, would have
// to bring them.
func (g *Gateway) unbindIdle() bool {
	ids, err := g.Topology(g.ctx)
	if err != nil {
		return false
	}
	g.mu.Lock()
	ids = slices.DeleteFunc(ids, func(id iot.DeviceID) bool { return g.subs[id] != nil })
	g.mu.Unlock()
	if len(ids) == 0 {
		return false
	}
	ids = ids[:min(len(ids), idleAtOnce)]
	g.cfg.Logger.Info("gateway is full, idle sub-devices are unbound", "device", g.Device(), "count", len(ids))
	for part := range slices.Chunk(ids, bindBatch) {
		err := g.Unbind(g.ctx, part...)
		if _, refused := errors.AsType[*alink.CodeError](err); !refused {
			continue
		}
		for _, id := range part { // one went to another gateway meanwhile
			_ = g.Unbind(g.ctx, id)
		}
	}
	return true
}

// send logs a batch in. Those of one that is refused are tried one by one, who is no
// sub-device for the platform any more, because another gateway had it meanwhile, is
// bound again, and who came when the gateway was lost waits for it.
func (l *logins) send(some []*subLogin) {
	err := l.request(some)
	_, refused := errors.AsType[*alink.CodeError](err)
	missing := errors.Is(err, &alink.CodeError{Code: alink.CodeTopoMissing})
	for _, s := range some {
		switch {
		case errors.Is(err, hal.ErrGone) || errors.Is(err, ErrOffline):
		case refused && len(some) > 1:
			s.alone = true
		case missing && !s.again:
			s.again = true
			l.gw.mu.Lock()
			delete(l.gw.bound, s.id.Device)
			l.gw.mu.Unlock()
		default:
			s.done <- err
			continue
		}
		if !l.requeue(s) {
			s.done <- err
		}
	}
}

// requeue has a sub-device tried again while somebody waits for it.
func (l *logins) requeue(s *subLogin) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.left || l.closed {
		return false
	}
	l.waiting = append(l.waiting, s)
	l.start()
	return true
}

func (l *logins) request(some []*subLogin) error {
	g := l.gw
	path := "session/combine/login"
	var params any
	if len(some) == 1 {
		params = g.loginEntry(some[0], "signMethod")
	} else {
		list := make([]map[string]string, 0, len(some))
		for _, s := range some {
			list = append(list, g.loginEntry(s, ""))
		}
		path = "session/combine/batch_login"
		params = map[string]any{"signMethod": g.method().String(), "deviceList": list}
	}
	_, err := g.callOn(g.ctx, topic.Ext(path, g.Device()), path, params, iot.AtMostOnce)
	return err
}

func (g *Gateway) loginEntry(s *subLogin, methodKey string) map[string]string {
	clientID := s.id.Device.Product + "." + s.id.Device.Name
	if !s.explicit {
		clientID += "|_ss=1|"
	}
	entry := g.signSub(s.id, clientID, "signMethod")
	if methodKey == "" {
		delete(entry, "signMethod")
	}
	entry["cleanSession"] = fmt.Sprint(s.clean)
	return entry
}
