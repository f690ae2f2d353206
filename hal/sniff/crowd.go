// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// crowd bounds the connections that speak HTTP. When there are too many, the one
// that has been without a whole request for longest goes: it is idle, or drips its
// header. When all are at work the newcomer goes.
type crowd struct {
	most int

	mu    sync.Mutex
	seats map[net.Conn]*seat
}

// seat is a connection; crowd.mu guards it.
type seat struct {
	requests int       // being served
	since    time.Time // when it last had one, or came
}

// seatKey is the context key of a connection's *seat.
type seatKey struct{}

func newCrowd(most int) *crowd { return &crowd{most: most, seats: map[net.Conn]*seat{}} }

// enter is http.Server.ConnContext's: it gives a connection its seat.
func (c *crowd) enter(ctx context.Context, nc net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seats) >= c.most {
		if loser := c.idlest(); loser != nil {
			delete(c.seats, loser)
			_ = loser.Close()
		} else {
			_ = nc.Close()
		}
	}
	s := &seat{since: time.Now()}
	c.seats[nc] = s
	return context.WithValue(ctx, seatKey{}, s)
}

// idlest returns the connection without a request for longest; c.mu is held.
func (c *crowd) idlest() (loser net.Conn) {
	var since time.Time
	for nc, s := range c.seats {
		if s.requests == 0 && (loser == nil || s.since.Before(since)) {
			loser, since = nc, s.since
		}
	}
	return loser
}

// leave is http.Server.ConnState's.
func (c *crowd) leave(nc net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.seats, nc)
	}
}

// begin notes that the connection of a request has one; end takes that back.
func (c *crowd) begin(ctx context.Context) (end func()) {
	s, ok := ctx.Value(seatKey{}).(*seat)
	if !ok {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.requests++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.requests--
		s.since = time.Now()
	}
}
