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
	if c == nil {
		o := s.gone[clientID]
		if o.take(time.Now()); o.n > 0 {
			s.gone[clientID] = o
		} else {
			delete(s.gone, clientID)
		}
		s.mu.Unlock()
		return
	}
	about := !c.owed.take(time.Now())
	s.mu.Unlock()
	if !about {
		return
	}
	c.end(cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.gone[clientID] // it was announced just now
	if o.take(time.Now()); o.n > 0 {
		s.gone[clientID] = o
	} else {
		delete(s.gone, clientID)
	}
}
