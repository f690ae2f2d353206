// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"slices"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// gateway is what the connection of a gateway has more than others: the sessions
// of the sub-devices logged in through it.
type gateway struct {
	mu   sync.RWMutex
	kids map[iot.DeviceID]*session

	packets packets
}

// kid returns the session of a sub-device, nil when it has none here.
func (g *gateway) kid(id iot.DeviceID) *session {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.kids[id]
}

// kid is the session through s of the sub-device called id; nil when there is none.
func (s *session) kid(id iot.DeviceID) *session {
	if s.gw == nil {
		return nil
	}
	return s.gw.kid(id)
}

func (g *gateway) add(kid *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kids == nil {
		g.kids = make(map[iot.DeviceID]*session)
	}
	g.kids[kid.d.id] = kid
}

// remove takes a session out and reports whether it was there.
func (g *gateway) remove(kid *session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kids[kid.d.id] != kid {
		return false
	}
	delete(g.kids, kid.d.id)
	return true
}

func (g *gateway) online() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.kids)
}

// speaker returns the session a message about the sub-device id belongs to, nil
// when it must not pass: nobody of that name is logged in here, or not any more.
func (g *gateway) speaker(sh *shard, id iot.DeviceID) *session {
	kid := g.kid(id)
	// A sub-device on its way to another gateway is not this worker's to touch.
	if kid == nil || kid.d.home.Load() != sh || kid.d.sess != kid {
		return nil
	}
	return kid
}

// subDevice returns the device called id if it is logged in through the gateway
// whose message the worker handles, else nil. The handler may change it as it may
// change the gateway: it is on the same shard.
func (s *session) subDevice(sh *shard, id iot.DeviceID) *device {
	if s.gw == nil {
		return nil
	}
	if kid := s.gw.speaker(sh, id); kid != nil {
		return kid.d
	}
	return nil
}

// lose ends the sessions of all sub-devices, behind the durable end of the
// gateway's own and in the order of their logins.
func (g *gateway) lose(b *batch) {
	b.then(func(error) {
		g.mu.RLock()
		all := make([]*session, 0, len(g.kids))
		for _, kid := range g.kids {
			all = append(all, kid)
		}
		g.mu.RUnlock()
		slices.SortFunc(all, func(x, y *session) int { return cmp.Compare(x.number, y.number) })
		for _, kid := range all {
			kid.end(hal.CauseGateway)
		}
	})
}

// gatewayID names the gateway s came through; zero for a direct device.
func (s *session) gatewayID() iot.DeviceID {
	if s.via == nil {
		return iot.DeviceID{}
	}
	return s.via.d.id
}

// newKid makes the session of a sub-device that logs in through s. The reference
// to d becomes the session's.
func (s *session) newKid(d *device, clean bool) *session {
	kid := &session{
		h: s.h, d: d, via: s, clean: clean,
		extRRPC: s.extRRPC, addr: s.addr, limited: s.limited,
	}
	kid.link = relay{kid}
	kid.makeRaw(s)
	return kid
}

// part takes a sub-device's session, which just ended, from its gateway's and
// tells the gateway why if the platform ended it.
func (s *session) part(b *batch) {
	if !s.via.gw.remove(s) || s.via.cause.Load() != nil {
		return
	}
	code := partCode(*s.cause.Load())
	if code == 0 {
		return
	}
	s.via.notice(b, "session/combine/logout_reply", code, s.d.id)
	s.via.notice(b, "error", code, s.d.id)
}

// partCode is what a gateway is told when the platform ends the session of a
// sub-device (wire facts section 12.7); zero tells it nothing.
func partCode(cause hal.Cause) alink.Code {
	if cause == hal.CauseKicked {
		return alink.CodeKicked
	}
	if cause == hal.CauseDeleted {
		return alink.CodeDeleted
	}
	if cause == hal.CauseDisabled {
		return alink.CodeDisabled
	}
	return 0
}

// notice tells a gateway on its own /ext topic what happened to a sub-device.
func (s *session) notice(b *batch, path string, code alink.Code, about iot.DeviceID) {
	name := topic.Ext(path, s.d.id)
	if _, ok := s.wants(name); !ok {
		return
	}
	data := jsonText(deviceName{about.Product, about.Name})
	payload := alink.AppendReply(nil, &alink.Reply{ID: s.h.callIDs.next(), Code: code, Data: data})
	b.then(func(err error) {
		if err == nil {
			s.sendNow(s.h.ctx, iot.Message{Topic: name, Payload: payload}, nil)
		}
	})
}

// noSession refuses a message about a device that has no session through s: the
// gateway is told on /ext/error with code 520 (wire facts section 12.1).
func (s *session) noSession(b *batch, m *iot.Message, about iot.DeviceID) error {
	s.reject(*m, CauseNoSession, "")
	about = iot.DeviceID{Product: cloneTopic(about.Product), Name: cloneTopic(about.Name)}
	name := topic.Ext("error", s.d.id)
	if _, ok := s.wants(name); ok {
		data := jsonText(deviceName{about.Product, about.Name})
		payload := alink.AppendReply(nil, &alink.Reply{ID: s.h.callIDs.next(), Code: alink.CodeNoSession, Data: data})
		// Not behind the commit: the message leaves nothing to commit.
		s.link.Send(context.WithoutCancel(s.h.ctx), hal.Delivery{Message: iot.Message{Topic: name, Payload: payload}}, nil)
	}
	return &hal.RejectedError{Err: errNoSession}
}

// deviceName is how requests and answers about sub-devices name one.
type deviceName struct {
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName"`
}

func nameOf(id iot.DeviceID) deviceName { return deviceName{id.Product, id.Name} }
