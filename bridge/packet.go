// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	// packetQueue is how many packets of one address may wait for its handler.
	packetQueue = 16
	// packetBytes is how many bytes may wait of all addresses together: anybody can
	// send from as many addresses as he likes.
	packetBytes = 16 << 20
)

// ServePacket takes packets from pc until Close, or pc's error. An address is a
// Conn: its packets are handled in order, and a handler that names the identity
// with each packet (Conn.Online) makes the session follow the device to a new
// address, as the newer one wins. Packets longer than MaxMessage are dropped. It
// always returns an error: ErrClosed after Close. The sessions of its addresses end
// with it; pc stays open.
func (s *Server) ServePacket(pc net.PacketConn) error {
	if err := s.init(); err != nil {
		return err
	}
	peers := make(map[string]*Conn)
	defer func() {
		for _, c := range peers {
			c.Close(fmt.Errorf("%w: the socket is closed", ErrOffline))
		}
	}()
	buf := make([]byte, min(s.MaxMessage, 64<<10)+1) // one more tells what is too long
	failed := 0
	swept := time.Now()
	for {
		if err := pc.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return s.orClosed(err)
		}
		n, addr, err := pc.ReadFrom(buf)
		if s.ctx.Err() != nil {
			return ErrClosed
		}
		if now := time.Now(); now.Sub(swept) >= time.Second {
			swept = now
			s.sweep(peers, now)
		}
		switch {
		case errors.Is(err, net.ErrClosed):
			return s.orClosed(err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil: // an answer of ICMP to an earlier packet, or something that stays
			if failed++; failed > 10 {
				s.rest()
			}
			continue
		}
		failed = 0
		if n == len(buf) {
			s.dropped.Add(1)
			continue
		}
		s.packet(pc, peers, addr, buf[:n])
	}
}

// rest keeps a socket that fails all the time from taking the processor.
func (s *Server) rest() {
	select {
	case <-time.After(50 * time.Millisecond):
	case <-s.ctx.Done():
	}
}

func (s *Server) orClosed(err error) error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// sweep forgets addresses that are idle or ended.
func (s *Server) sweep(peers map[string]*Conn, now time.Time) {
	for key, c := range peers {
		c.mu.Lock()
		idle := now.Sub(c.heard) > s.IdleTimeout
		closed := c.closed
		c.mu.Unlock()
		if idle {
			c.Close(fmt.Errorf("%w: nothing heard in %v", ErrOffline, s.IdleTimeout))
		}
		if idle || closed {
			delete(peers, key)
		}
	}
}

// packet gives a packet to its address.
func (s *Server) packet(pc net.PacketConn, peers map[string]*Conn, addr net.Addr, b []byte) {
	key := addr.String()
	c := peers[key]
	if c == nil || c.ctx.Err() != nil {
		c = s.newConn(addr)
		c.out = func(b []byte) error {
			if _, err := pc.WriteTo(b, addr); err != nil {
				return fmt.Errorf("bridge: write: %w", err)
			}
			return nil
		}
		if !s.admit(c, nil) {
			s.dropped.Add(1)
			c.cancel()
			return
		}
		peers[key] = c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
	if len(b) == 0 {
		return // a sign of life at most
	}
	if c.heard.Unix() != c.second {
		c.second, c.count = c.heard.Unix(), 0
	}
	c.count++
	if c.closed || c.count > s.MaxRate || len(c.packets) >= packetQueue || s.waiting.Load()+int64(len(b)) > packetBytes {
		s.dropped.Add(1)
		return
	}
	if !c.running {
		if c.running = s.spawn(c.work); !c.running {
			return
		}
	}
	s.waiting.Add(int64(len(b)))
	c.packets = append(c.packets, append([]byte(nil), b...))
}

// spawn runs f unless the Server is closed.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(f)
	return true
}

// work handles the packets that wait and ends. A connection that panicked is closed,
// and keeps none.
func (c *Conn) work() {
	defer c.forgetPackets()
	defer c.recovered()
	for {
		b := c.nextPacket()
		if b == nil {
			return
		}
		if _, err := c.decode(b); err != nil {
			c.Close(err)
		}
	}
}

// nextPacket returns the oldest packet that waits, and nil when none does or the
// connection ended: the next one needs a new goroutine then.
func (c *Conn) nextPacket() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.packets) == 0 || c.closed {
		c.running = false
		return nil
	}
	b := c.packets[0]
	c.packets[0] = nil
	c.packets = c.packets[1:]
	c.s.waiting.Add(-int64(len(b)))
	return b
}

// forgetPackets drops what waits for a connection that ended.
func (c *Conn) forgetPackets() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		return // a newer goroutine may be at work
	}
	for _, b := range c.packets {
		c.s.waiting.Add(-int64(len(b)))
	}
	c.packets = nil
}
