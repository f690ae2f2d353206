// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// packetQueue is how many packets of one address may wait for its handler.
const packetQueue = 16

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
	if c.heard.Unix() != c.second {
		c.second, c.count = c.heard.Unix(), 0
	}
	if c.count++; c.count > s.MaxRate || len(c.packets) >= packetQueue {
		s.dropped.Add(1)
		return
	}
	c.packets = append(c.packets, append([]byte(nil), b...))
	if !c.running && !c.closed {
		c.running = s.spawn(c.work)
	}
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

// work handles the packets that wait and ends.
func (c *Conn) work() {
	defer c.recovered()
	for {
		c.mu.Lock()
		if len(c.packets) == 0 || c.closed {
			c.packets, c.running = nil, false
			c.mu.Unlock()
			return
		}
		b := c.packets[0]
		c.packets = c.packets[1:]
		c.mu.Unlock()
		if _, err := c.decode(b); err != nil {
			c.Close(err)
		}
	}
}
