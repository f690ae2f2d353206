// SPDX-License-Identifier: Apache-2.0

package management

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
)

// authenticate returns whose request it is: of an API key's holder, or of an
// application, which may do what its rights say. All keys are compared, so that
// the time tells nothing.
func (a *api) authenticate(w http.ResponseWriter, r *http.Request) (caller, error) {
	if s, ok := auth.ParseRequestSign(r.Header.Get("Authorization")); ok {
		return a.signed(w, r, s)
	}
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	found := -1
	for i, k := range a.keys {
		if k.Equal(auth.NewSecret(strings.TrimSpace(shown))) {
			found = i
		}
	}
	if !ok || found < 0 {
		return caller{}, &Error{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: "send the API key as Authorization: Bearer KEY, or sign the request with an AccessKey"}
	}
	return caller{name: "key " + strconv.Itoa(found)}, nil
}

// class is what an operation counts against.
type class uint8

const (
	classOther class = iota // one key and one address
	classPub
	classRRPC
	classBroadcast
)

// maxAddresses bounds the addresses remembered; all are forgotten when it is
// reached, which errs on the side of the caller.
const maxAddresses = 10_000

// limiter applies the documented request rates.
type limiter struct {
	shared  [classBroadcast + 1]*rate.Limiter
	perKey  int
	perAddr int

	mu    sync.Mutex
	keys  map[string]*rate.Limiter
	addrs map[string]*rate.Limiter
}

func newLimiter(l hub.Limits) *limiter {
	m := &limiter{perKey: l.APIKey, perAddr: l.APIAddress}
	m.shared[classPub] = newRate(l.APIPub)
	m.shared[classRRPC] = newRate(l.APIRRPC)
	m.shared[classBroadcast] = newRate(l.APIBroadcast)
	m.keys = make(map[string]*rate.Limiter)
	m.addrs = make(map[string]*rate.Limiter)
	return m
}

// newRate makes a limiter of n a second, nil without limit.
func newRate(n int) *rate.Limiter {
	if n <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(n), n)
}

func (m *limiter) take(c class, key string, r *http.Request, now time.Time) error {
	if c != classOther {
		return m.allow(m.shared[c], now)
	}
	addr, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		addr = r.RemoteAddr
	}
	m.mu.Lock()
	if len(m.addrs) >= maxAddresses {
		clear(m.addrs)
	}
	byKey, byAddr := member(m.keys, key, m.perKey), member(m.addrs, addr, m.perAddr)
	m.mu.Unlock()
	if err := m.allow(byKey, now); err != nil {
		return err
	}
	return m.allow(byAddr, now)
}

func member[K comparable](all map[K]*rate.Limiter, k K, n int) *rate.Limiter {
	l, ok := all[k]
	if !ok {
		l = newRate(n)
		all[k] = l
	}
	return l
}

func (m *limiter) allow(l *rate.Limiter, now time.Time) error {
	if l == nil || l.AllowN(now, 1) {
		return nil
	}
	return &Error{Status: http.StatusTooManyRequests, Code: "Throttled", Message: "too many requests a second"}
}
