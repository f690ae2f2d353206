// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"container/list"
	"crypto/cipher"
	"strconv"
	"sync"
	"time"

	"github.com/openalink/iot/auth"
)

// session is a login without DTLS: what a device calls its token names it. The
// token of the platform stays here, so that one seen on the way is of no use
// elsewhere.
type session struct {
	token auth.Secret // of the platform
	block cipher.Block

	mu     sync.Mutex
	window window

	name string
	used time.Time // guarded by sessions.mu, like place
	at   *list.Element
}

// sessions are the logins without DTLS, the one silent longest in front.
type sessions struct {
	mu    sync.Mutex
	names map[string]*session
	order *list.List
	max   int
	idle  time.Duration
}

func newSessions(limit int, idle time.Duration) *sessions {
	return &sessions{names: map[string]*session{}, order: list.New(), max: limit, idle: idle}
}

// add adds s, and drops those that were silent for too long, or longest.
func (t *sessions) add(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.used = time.Now()
	t.names[s.name] = s
	s.at = t.order.PushBack(s)
	for {
		first, _ := t.order.Front().Value.(*session)
		if len(t.names) <= t.max && s.used.Sub(first.used) <= t.idle {
			return
		}
		t.drop(first)
	}
}

func (t *sessions) drop(s *session) {
	t.order.Remove(s.at)
	delete(t.names, s.name)
}

// find returns the session a request names, nil for none.
func (t *sessions) find(name []byte) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.names[string(name)]
	if s == nil {
		return nil
	}
	now := time.Now()
	if now.Sub(s.used) > t.idle {
		t.drop(s)
		return nil
	}
	s.used = now
	t.order.MoveToBack(s.at)
	return s
}

// open decrypts a request in place: its sequence number, which must be new, and
// its payload. The code is CodeContent, CodeUnauthorized or CodeBadRequest.
func (s *session) open(r *request) Code {
	text, err := unseal(s.block, r.seq)
	if err != nil {
		return CodeUnauthorized
	}
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil {
		return CodeUnauthorized
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.window.fresh(n) {
		return CodeUnauthorized
	}
	if len(r.payload) > 0 {
		if r.payload, err = unseal(s.block, r.payload); err != nil {
			return CodeBadRequest
		}
	}
	s.window.take(n)
	return CodeContent
}
