// SPDX-License-Identifier: Apache-2.0

package iottest

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/hal"
)

// ErrCut is what reads and writes of a cut connection answer.
var ErrCut = errors.New("iottest: connection cut")

// Faults is a hal.Net whose connections go wrong on demand. It is safe for
// concurrent use.
type Faults struct {
	Net hal.Net // what it dials with; nil is the operating system's

	mu     sync.Mutex
	conns  map[*faulty]struct{}
	refuse bool
	delay  time.Duration
	cutAt  int64 // bytes written and read after which a connection is cut; 0 never
}

// DialContext implements hal.Net.
func (f *Faults) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	f.mu.Lock()
	refuse := f.refuse
	f.mu.Unlock()
	if refuse {
		return nil, &net.OpError{Op: "dial", Net: network, Err: ErrCut}
	}
	dialer := f.Net
	if dialer == nil {
		dialer = new(net.Dialer)
	}
	nc, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &faulty{Conn: nc, f: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns == nil {
		f.conns = make(map[*faulty]struct{})
	}
	f.conns[c] = struct{}{}
	return c, nil
}

// Cut ends every open connection without goodbye.
func (f *Faults) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.cut()
	}
	clear(f.conns)
}

// Refuse makes further dials fail, until it is called with false.
func (f *Faults) Refuse(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = yes
}

// Delay makes every write take d longer.
func (f *Faults) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// CutAfter cuts each connection when n more bytes went over it; 0 stops that.
func (f *Faults) CutAfter(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutAt = n
	for c := range f.conns {
		c.passed = 0
	}
}

// pass counts n bytes over c and reports whether it must be cut, and the delay.
func (f *Faults) pass(c *faulty, n int) (cut bool, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.passed += int64(n)
	return f.cutAt > 0 && c.passed >= f.cutAt, f.delay
}

type faulty struct {
	net.Conn
	f      *Faults
	passed int64 // guarded by f.mu
	broken atomic.Bool
}

func (c *faulty) cut() {
	if c.broken.CompareAndSwap(false, true) {
		_ = c.Conn.Close()
	}
}

// Read implements net.Conn. A cut connection does not say net.ErrClosed, as one
// closed at this end would.
func (c *faulty) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.broken.Load() {
		return n, ErrCut
	}
	if cut, _ := c.f.pass(c, n); cut {
		c.cut()
		return 0, ErrCut
	}
	return n, err
}

// Write implements net.Conn.
func (c *faulty) Write(b []byte) (int, error) {
	cut, delay := c.f.pass(c, len(b))
	if delay > 0 {
		time.Sleep(delay)
	}
	if cut {
		_, _ = c.Conn.Write(b[:len(b)/2]) // half a packet arrives
		c.cut()
		return 0, ErrCut
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *faulty) Close() error {
	c.f.mu.Lock()
	delete(c.f.conns, c)
	c.f.mu.Unlock()
	return c.Conn.Close()
}
