// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// maxSpeaksFor bounds the devices one client may speak for: a gateway and its
// sub-devices.
const maxSpeaksFor = 4096

var (
	errEnded    = errors.New("webhook: session has ended")
	errUnknown  = errors.New("webhook: client is not logged in")
	errMismatch = errors.New("webhook: user name is not the one that logged in")
	errRefused  = errors.New("webhook: subscription refused")
	errPanic    = errors.New("webhook: internal error")
)

// kind is a make of broker, as far as clients differ by it.
type kind struct {
	name  string
	tells bool // it tells when a connection ends
	dots  bool // '.' and '/' in topics are one to it
}

// client is a device's connection to the broker.
type client struct {
	s    *Server
	kind *kind
	id   string
	user string
	own  iot.DeviceID // the device the user name names; zero when it names none
	// What logs it in again after a silence.
	password []byte
	addr     net.Addr
	ip       string
	clean    bool

	turn  chan struct{} // capacity 1: held over Connect, Receive and Subscribe: the session hears one at a time
	heard atomic.Int64
	// filters are subscribed to again after a silence; whoever has the turn has them.
	filters []hal.Filter
	lane    lane

	owed owed // of clients this one replaced; guarded by s.mu
	told bool // the broker announced its end; guarded by s.mu

	mu     sync.Mutex
	visit  *visit // nil while asleep
	asleep *time.Timer
	ended  bool
	parts  *time.Timer // ends it, after the broker announced that
	hold   hold
	speaks map[iot.DeviceID]struct{}
}

func (s *Server) newClient(l *login) *client {
	c := &client{
		s: s, kind: l.kind, id: l.clientID, user: l.user, password: []byte(l.password), clean: l.clean,
		turn: make(chan struct{}, 1), speaks: make(map[iot.DeviceID]struct{}, 1),
	}
	if ip, err := netip.ParseAddr(l.addr); err == nil {
		c.addr, c.ip = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)), l.addr
	}
	c.lane.init(c)
	if id, err := auth.ParseUserName(l.user); err == nil {
		c.own = id
	}
	return c
}

// login lets a client in.
func (s *Server) login(ctx context.Context, l *login) error {
	if secret, ok := s.cfg.Services[l.user]; ok {
		if !equal(secret.Reveal(), l.password) {
			return auth.ErrBadSign
		}
		return nil
	}
	s.entering(l.clientID, 1)
	defer s.entering(l.clientID, -1)
	if s.full(l.clientID) {
		return errTooMany
	}
	c := s.newClient(l)
	if l.kind.dots && flattened(c.own) {
		return fmt.Errorf("webhook: %s makes of a dot in %v a slash", l.kind.name, c.own)
	}
	if _, err := c.awake(ctx); err != nil {
		return err
	}
	if err := s.add(c); err != nil {
		c.end(hal.CauseServerStop)
		return err
	}
	c.remember()
	if c.own != (iot.DeviceID{}) {
		c.speakFor(c.own)
	}
	return nil
}

// awake returns the client's session. One that was ended for its silence is
// opened again, with what the client showed when it logged in.
func (c *client) awake(ctx context.Context) (hal.Session, error) {
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer c.giveTurn()
	return c.awakeInTurn(ctx)
}

// session returns the client's session without waiting for a turn, unless there
// is none.
func (c *client) session(ctx context.Context) (hal.Session, error) {
	c.mu.Lock()
	v := c.visit
	c.mu.Unlock()
	if v == nil {
		return c.awake(ctx)
	}
	c.heard.Store(time.Now().UnixNano())
	return v.sess, nil
}

func (c *client) takeTurn(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *client) giveTurn() { <-c.turn }

func (c *client) awakeInTurn(ctx context.Context) (hal.Session, error) {
	c.heard.Store(time.Now().UnixNano())
	c.mu.Lock()
	v, ended := c.visit, c.ended
	c.mu.Unlock()
	if ended {
		return nil, errEnded
	}
	if v != nil {
		return v.sess, nil
	}
	v = &visit{c: c}
	accepted, err := c.s.cfg.Access.Connect(ctx, c.request(v))
	if err != nil {
		if r, ok := errors.AsType[*hal.RefusedError](err); ok && r.Reason != hal.Unavailable && c.s.client(c.id) == c {
			c.end(hal.CauseKicked) // what it showed is no good any more
		}
		return nil, err
	}
	if accepted.Session == nil {
		return nil, errUnknown
	}
	if err := c.settle(v, accepted.Session); err != nil {
		c.leave(accepted.Session, v.cause)
		return nil, err
	}
	if sub, ok := accepted.Session.(hal.Subscriber); ok && len(c.filters) > 0 {
		sub.Subscribe(ctx, c.filters)
	}
	return accepted.Session, nil
}

func (c *client) request(v *visit) *hal.ConnectRequest {
	return &hal.ConnectRequest{
		Protocol: "mqtt", Version: 4, Kind: hal.Connection,
		ClientID: c.id, UserName: c.user, Credential: auth.NewPassword(append([]byte(nil), c.password...)),
		RemoteAddr: c.addr, KeepAlive: c.s.cfg.KeepAlive, CleanSession: c.clean, Link: v,
	}
}

// settle makes v the client's visit, unless it was closed meanwhile.
func (c *client) settle(v *visit, sess hal.Session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended && v.cause == "" {
		v.cause = hal.CauseServerStop
	}
	if v.cause != "" {
		return errEnded
	}
	v.sess, c.visit = sess, v
	if silence := c.s.cfg.Silence; silence > 0 && !c.kind.tells {
		c.asleep = time.AfterFunc(silence, c.fallAsleep)
	}
	return nil
}

// fallAsleep ends the session of a client that was silent, and keeps the client.
func (c *client) fallAsleep() {
	left := c.s.cfg.Silence - time.Since(time.Unix(0, c.heard.Load()))
	c.mu.Lock()
	v := c.visit
	if v == nil || left > 0 {
		if v != nil {
			c.asleep.Reset(left)
		}
		c.mu.Unlock()
		return
	}
	c.visit, v.cause = nil, hal.CauseKeepAlive
	c.mu.Unlock()
	c.leave(v.sess, hal.CauseKeepAlive)
}

func (c *client) endIfAsleep() {
	c.mu.Lock()
	sleeps := c.visit == nil
	c.mu.Unlock()
	if sleeps {
		c.end(hal.CauseKicked)
	}
}

// end is the end of the client. The first cause counts.
func (c *client) end(cause hal.Cause) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended = true
	v := c.visit
	c.visit = nil
	if v != nil {
		v.cause = cause
	}
	if c.asleep != nil {
		c.asleep.Stop()
	}
	if c.parts != nil {
		c.parts.Stop()
	}
	devices := c.speaks
	c.speaks = nil
	c.mu.Unlock()
	if was := c.s.remove(c, devices); was && cause != hal.CauseServerStop { // whoever starts next may know it
		c.forget()
	}
	rest, busy := c.lane.close()
	c.s.leave(c, rest, busy)
	if v != nil {
		c.leave(v.sess, cause)
	}
}

// leave tells a session that it is over.
func (c *client) leave(sess hal.Session, cause hal.Cause) {
	defer c.recovered("close")
	sess.Close(cause)
}

// recovered is deferred around what the platform does for a client: a panic ends
// this client only, and has the broker disconnect it, so that it logs in again.
func (c *client) recovered(where string) {
	if p := recover(); p != nil {
		c.s.cfg.Logger.Error("panic", "where", where, "client", clip(c.id), "panic", p, "stack", string(debug.Stack()))
		c.s.run(func() {
			c.end(hal.CauseNotKept)
			c.kick()
		})
	}
}

// leaving reports whether the client has ended, or its session is about to.
func (c *client) leaving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended || c.visit != nil && c.visit.kicked
}

// speakFor notes that messages of a device come from this client.
func (c *client) speakFor(id iot.DeviceID) {
	c.mu.Lock()
	_, known := c.speaks[id]
	fits := !c.ended && len(c.speaks) < maxSpeaksFor
	if !known && fits {
		id = iot.DeviceID{Product: clone(id.Product), Name: clone(id.Name)}
		c.speaks[id] = struct{}{}
	}
	c.mu.Unlock()
	if known || fits {
		c.s.speaks(c, id)
	}
}

// allowed answers whether a client may publish or subscribe.
func (s *Server) allowed(ctx context.Context, a *access) error {
	if _, ok := s.cfg.Services[a.user]; ok {
		return nil
	}
	c := s.asked(ctx, a.clientID)
	if c == nil {
		return errUnknown
	}
	if a.user != c.user {
		return errMismatch
	}
	// A session that is busy with a message still knows what is allowed.
	sess, err := c.session(ctx)
	if err != nil {
		return err
	}
	if err := sess.Authorize(a.op, a.topic); err != nil {
		return err
	}
	if a.op == topic.Pub {
		if t, err := topic.Parse(a.topic); err == nil && t.Device.Name != "" {
			c.speakFor(t.Device)
		}
		return nil
	}
	if !a.subscribes {
		return nil
	}
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.giveTurn()
	return c.subscribe(ctx, sess, hal.Filter{Topic: clone(a.topic), QoS: a.qos})
}
