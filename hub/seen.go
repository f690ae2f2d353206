// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync"
	"time"

	"github.com/openalink/iot/auth"
)

// maxSeen is how many tokens a generation of seen has.
const maxSeen = 8192

// seen remembers tokens whose signature was right, because a device shows the same
// one with each request: it is told by the claims, not checked again. Whether the
// device stands behind it is not remembered. A key is dropped when all it signed
// is expired, so that the expiry is all that must be looked at. The tokens used
// lately are in one of two generations. Its mutex is a leaf.
type seen struct {
	mu         sync.Mutex
	young, old map[string]auth.Claims
}

// check returns the claims of a token. Errors are those of auth.TokenKeys.Check.
func (t *tokens) check(token []byte, now time.Time) (auth.Claims, error) {
	if c, ok := t.seen.find(token); ok {
		if !now.Before(c.Expires) {
			return c, auth.ErrTokenExpired
		}
		return c, nil
	}
	c, err := t.current().Check(token, now)
	if err == nil {
		t.seen.add(string(token), c)
	}
	return c, err
}

func (s *seen) find(token []byte) (auth.Claims, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.young[string(token)]; ok {
		return c, true
	}
	c, ok := s.old[string(token)]
	if ok {
		s.put(string(token), c)
	}
	return c, ok
}

func (s *seen) add(token string, c auth.Claims) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(token, c)
}

// put begins a new generation when the young one is full; mu is held.
func (s *seen) put(token string, c auth.Claims) {
	if len(s.young) >= maxSeen || s.young == nil {
		s.young, s.old = make(map[string]auth.Claims), s.young
	}
	s.young[token] = c
}
