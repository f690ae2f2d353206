// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// How answers are remembered for requests that come again (RFC 7252 section 4.8.2:
// a message id means the same for that long).
const (
	exchangeLifetime = 247 * time.Second
	maxRemembered    = 32 // of a client
)

// peer is a client: an address, or a DTLS session.
type peer struct {
	secure bool
	remote func() net.Addr
	send   func(datagram []byte)
	leave  func() // one request less
	// known is set when the client proved to be a device. Answers to others are not
	// remembered: nothing changed by their requests, and anybody can send them.
	known atomic.Bool

	mu     sync.Mutex
	recent []exchanged // oldest first
}

// mark tells requests of a client apart: a repeated one has the same bytes. One with
// the number of another is new: small devices that were restarted count from the same
// number at the same port, and their messages must not get old answers.
type mark struct {
	id  uint16
	sum uint64 // of the datagram
}

// exchanged is a request that was seen.
type exchanged struct {
	mark
	at  time.Time
	raw []byte // nil while the answer is not there yet
}

// first reports whether a request comes for the first time; otherwise it repeats
// the answer, if there is one yet.
func (p *peer) first(m mark) bool {
	p.mu.Lock()
	now := time.Now()
	for _, e := range p.recent {
		if e.mark != m || e.raw != nil && now.Sub(e.at) > exchangeLifetime {
			continue
		}
		p.mu.Unlock()
		if e.raw != nil {
			p.send(e.raw)
		}
		return false
	}
	p.recent = append(p.recent, exchanged{mark: m, at: now})
	p.mu.Unlock()
	return true
}

// answer sends the answer to a request, and remembers it if the client is known.
func (p *peer) answer(m mark, raw []byte) {
	p.mu.Lock()
	i := len(p.recent) - 1
	for p.recent[i].mark != m || p.recent[i].raw != nil { // it is there: first noted it
		i--
	}
	if p.known.Load() {
		p.recent[i].raw = raw
	} else {
		p.recent = append(p.recent[:i], p.recent[i+1:]...)
	}
	if len(p.recent) > maxRemembered {
		p.forgetOldest()
	}
	p.mu.Unlock()
	p.send(raw)
}

// forgetOldest forgets the oldest answer; what is in progress stays.
func (p *peer) forgetOldest() {
	for i := range p.recent {
		if p.recent[i].raw != nil {
			p.recent = append(p.recent[:i], p.recent[i+1:]...)
			return
		}
	}
}
