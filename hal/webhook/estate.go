// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"time"

	iot "github.com/openalink/iot"
)

// estateLife is how long messages wait for their device to log in again.
// Meanwhile they have places in the window the broker gives the consumer.
const estateLife = 2 * time.Second

// estate is what a client left: messages the broker has from the device, and the
// platform not yet. The next client that speaks for the device gets them.
type estate struct {
	from  *client // who left
	heir  *client // who waits until from is done; nil for nobody
	list  []inbound
	timer *time.Timer
}

// leave takes what a client leaves when it ends, and while it is busy with the rest.
func (s *Server) leave(c *client, list []inbound, busy bool) {
	if len(list) == 0 && !busy {
		return
	}
	s.mu.Lock()
	e := s.estates[c.own]
	switch {
	case s.closed: // the broker gives them to whoever comes next
		s.mu.Unlock()
		return
	case c.own == (iot.DeviceID{}):
		s.mu.Unlock()
		s.drop(list)
		return
	case e == nil:
		if heir := s.devices[c.own]; heir != nil && heir != c { // it waited no longer
			s.mu.Unlock()
			s.drop(heir.lane.adopt(list))
			return
		}
		e = &estate{}
		e.timer = time.AfterFunc(estateLife, func() { s.expire(c.own, e) })
		s.estates[c.own] = e
	}
	e.from, e.list = c, append(e.list, list...)
	s.mu.Unlock()
}

// succeed gives a client what the one before it left.
func (s *Server) succeed(c *client) {
	s.mu.Lock()
	e := s.estates[c.own]
	if e == nil || e.from == c {
		s.mu.Unlock()
		return
	}
	if !e.from.lane.empty() { // in the order they came
		e.heir = c
		c.lane.hold()
		s.mu.Unlock()
		return
	}
	s.remit(e, c)
}

// released is told that a client that ended has nothing under way any more.
func (s *Server) released(c *client) {
	s.mu.Lock()
	e := s.estates[c.own]
	if e == nil || e.from != c || e.heir == nil {
		s.mu.Unlock()
		return
	}
	s.remit(e, e.heir)
}

// expire gives up: what is left is dropped, and an heir waits no longer.
func (s *Server) expire(id iot.DeviceID, e *estate) {
	s.mu.Lock()
	if s.estates[id] != e {
		s.mu.Unlock()
		return
	}
	if e.heir != nil {
		s.remit(e, e.heir)
		return
	}
	delete(s.estates, id)
	s.mu.Unlock()
	s.drop(e.list)
}

// remit ends an estate; s.mu is held, and given back.
func (s *Server) remit(e *estate, heir *client) {
	e.timer.Stop()
	delete(s.estates, heir.own)
	s.mu.Unlock()
	if rest := heir.lane.adopt(e.list); len(rest) > 0 {
		s.leave(heir, rest, false)
	}
}

// abandon stops the timers of all estates; s.mu is held.
func (s *Server) abandon() {
	for id, e := range s.estates {
		e.timer.Stop()
		delete(s.estates, id)
	}
}

// drop lets the broker forget messages nobody takes.
func (s *Server) drop(list []inbound) {
	for _, in := range list {
		s.dropped.Add(1)
		in.finish()
	}
}
