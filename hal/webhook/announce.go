// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"time"

	"github.com/openalink/iot/hal"
)

// owedFor is how long after it the end of a connection may be announced.
const owedFor = 10 * time.Second

// owed counts ends of connections that a broker has yet to announce, by a client id
// that somebody else may have by then.
type owed struct {
	n    int
	last time.Time
}

func (o *owed) add(now time.Time) {
	if now.Sub(o.last) > owedFor {
		o.n = 0
	}
	o.n++
	o.last = now
}

// take reports whether an announcement is one that was owed.
func (o *owed) take(now time.Time) bool {
	if o.n == 0 || now.Sub(o.last) > owedFor {
		return false
	}
	o.n--
	return true
}

// maxGone is how many client ids with owed announcements are remembered before old
// ones are looked for.
const maxGone = 1024

// owe notes that a connection with an id ended, and the broker has yet to say so.
// s.mu is held.
func (s *Server) owe(clientID string) {
	now := time.Now()
	if c := s.clients[clientID]; c != nil {
		c.owed.add(now)
		return
	}
	if len(s.gone) >= maxGone {
		for id, o := range s.gone {
			if now.Sub(o.last) > owedFor {
				delete(s.gone, id)
			}
		}
	}
	o := s.gone[clientID]
	o.add(now)
	s.gone[clientID] = o
}

// announced takes a broker's word that a connection ended, which names its client
// id only.
func (s *Server) announced(clientID string, cause hal.Cause) {
	s.mu.Lock()
	c := s.clients[clientID]
	about := c != nil && !c.owed.take(time.Now()) && !c.told
	switch {
	case about:
		c.told = true
	case c == nil:
		s.takeGone(clientID)
	}
	s.mu.Unlock()
	if about {
		c.part(cause)
	}
}

// paid notes that an announcement that was owed came, or will not come.
func (s *Server) paid(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[clientID]; c != nil {
		c.owed.take(time.Now())
		return
	}
	s.takeGone(clientID)
}

// takeGone strikes one of the ends owed by an id nobody has; s.mu is held.
func (s *Server) takeGone(clientID string) {
	o := s.gone[clientID]
	if o.take(time.Now()); o.n > 0 {
		s.gone[clientID] = o
		return
	}
	delete(s.gone, clientID)
}
