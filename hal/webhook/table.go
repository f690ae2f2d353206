// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

var errTooMany = errors.New("webhook: too many clients")

// full reports whether a new client has no place.
func (s *Server) full(clientID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.clients[clientID] == nil && len(s.clients) >= s.cfg.MaxClients
}

func (s *Server) client(clientID string) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[clientID]
}

// add takes c in, in place of an older client with its id, which the broker is
// about to disconnect.
func (s *Server) add(c *client) error {
	s.mu.Lock()
	old := s.clients[c.id]
	if s.closed || old == nil && len(s.clients) >= s.cfg.MaxClients {
		s.mu.Unlock()
		return errTooMany
	}
	s.clients[c.id] = c
	if c.owed = s.gone[c.id]; old != nil && c.kind.tells && !old.told {
		c.owed.add(time.Now())
	}
	delete(s.gone, c.id)
	s.mu.Unlock()
	if old != nil {
		old.end(hal.CauseKicked)
	}
	return nil
}

// addAbsent takes c in unless there is a client with its id, or no room.
func (s *Server) addAbsent(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.clients[c.id] != nil || s.logins[c.id] > 0 || len(s.clients) >= s.cfg.MaxClients {
		return false
	}
	s.clients[c.id] = c
	return true
}

// remove forgets c and the devices it spoke for. It reports whether c was the
// client with its id.
func (s *Server) remove(c *client, devices map[iot.DeviceID]struct{}) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was = s.clients[c.id] == c; was {
		delete(s.clients, c.id)
		if c.kind.tells && !c.told {
			s.owe(c.id)
		}
	}
	for id := range devices {
		if s.devices[id] == c {
			delete(s.devices, id)
		}
	}
	return was
}

// speaks notes that c speaks for a device: its own, or a sub-device of the
// gateway it is. A silent client that did so before has no claim any more.
func (s *Server) speaks(c *client, id iot.DeviceID) {
	s.mu.Lock()
	old := s.devices[id]
	if s.clients[c.id] == c {
		s.devices[id] = c
	}
	s.mu.Unlock()
	if old != nil && old != c {
		old.endIfAsleep()
	}
	if id == c.own {
		s.succeed(c)
	}
}

func (s *Server) speaker(id iot.DeviceID) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.devices[id]
}
