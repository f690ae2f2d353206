// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
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
	// bindBatch is how many sub-devices one topo/add names.
	bindBatch = 20
)

// logins brings sub-devices in: those that wait go together, at a bounded rate,
// while the gateway is connected.
type logins struct {
	gw    *Gateway
	every time.Duration
	batch int

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
}

func (l *logins) init(cfg *GatewayConfig) error {
	orDefault(&cfg.LoginRate, defaultLoginRate)
	orDefault(&cfg.LoginBatch, maxLoginBatch)
	if cfg.LoginRate < 0 || cfg.LoginBatch < 0 || cfg.LoginBatch > maxLoginBatch {
		return fmt.Errorf("device: login rate %d or batch %d out of range", cfg.LoginRate, cfg.LoginBatch)
	}
	l.every, l.batch = time.Second/time.Duration(cfg.LoginRate), cfg.LoginBatch
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
			unbound, err := l.gw.unbound(some)
			if err == nil && len(unbound) > 0 {
				<-pace.C
				l.bind(unbound)
			}
			if ready = append(ready, some...); len(ready) == 0 {
				return
			}
		}
		<-pace.C
		slots <- struct{}{}
		n := min(l.batch, len(ready))
		part := ready[:n:n]
		ready = ready[n:]
		l.work.Go(func() {
			defer func() { <-slots }()
			l.send(part, pace.C)
		})
	}
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

// bind binds sub-devices, one by one when together fails. Who cannot be bound
// hears so from its login.
func (l *logins) bind(some []*subLogin) {
	ids := make([]hal.Identity, 0, len(some))
	for _, s := range some {
		ids = append(ids, s.id)
	}
	err := l.gw.Bind(l.gw.ctx, ids...)
	if _, refused := errors.AsType[*alink.CodeError](err); refused && len(some) > 1 {
		for i := range some {
			l.bind(some[i : i+1])
		}
		return
	}
	if err != nil {
		return
	}
	l.gw.mu.Lock()
	defer l.gw.mu.Unlock()
	for _, id := range ids {
		if l.gw.bound != nil {
			l.gw.bound[id.Device] = true
		}
	}
}

// send logs a batch in. A batch that is refused for one of its devices is tried
// one by one.
func (l *logins) send(some []*subLogin, pace <-chan time.Time) {
	err := l.request(some)
	_, refused := errors.AsType[*alink.CodeError](err)
	if !refused || len(some) == 1 {
		for _, s := range some {
			s.done <- err
		}
		return
	}
	for _, s := range some {
		select {
		case <-pace:
		case <-l.gw.ctx.Done():
		}
		s.done <- l.single(s)
	}
}

// single logs one sub-device in, and binds it first if the platform wants that.
func (l *logins) single(s *subLogin) error {
	err := l.request([]*subLogin{s})
	if !errors.Is(err, &alink.CodeError{Code: alink.CodeTopoMissing}) {
		return err
	}
	if err := l.gw.Bind(l.gw.ctx, s.id); err != nil {
		return err
	}
	return l.request([]*subLogin{s})
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
