// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxPeers is how many addresses are remembered with their answers on a socket,
// maxWaiting how many requests of one client may be in progress or wait for it.
const (
	maxPeers   = 8192
	maxWaiting = 32
)

// plain is a socket without DTLS.
type plain struct {
	s    *Server
	conn *net.UDPConn
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	closed bool
	peers  map[netip.AddrPort]*plainPeer
	order  *list.List // of peers nothing is in progress of, oldest first
	refs   int        // requests in progress or waiting
}

// plainPeer is an address. While datagrams of it wait, a goroutine begins them in
// turn.
type plainPeer struct {
	peer
	addr    netip.AddrPort
	queue   []*[]byte
	running bool
	refs    int // requests in progress or waiting
	at      *list.Element
	since   time.Time
}

// Serve serves devices that encrypt without DTLS, and with Config.Cleartext those
// that do not, on a UDP socket (wire facts section 1 row 31: ports 5682 and 5683).
// It returns when the socket fails or the Server ends; the socket is closed then,
// and its goroutines have ended.
//
// An address on UDP proves nothing, so the platform is not told addresses of
// clients: failures counted by them would let anybody lock a device out.
func (s *Server) Serve(conn *net.UDPConn) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &plain{s: s, conn: conn, stop: cancel, peers: map[netip.AddrPort]*plainPeer{}, order: list.New()}
	done, err := s.open(conn, l)
	if err != nil {
		return err
	}
	defer done()
	for {
		b := s.buffer()
		n, from, err := conn.ReadFromUDPAddrPort(*b)
		switch {
		case err == nil:
		case transient(err):
			s.recycle(b)
			continue
		default:
			return s.ended(err)
		}
		*b = (*b)[:n]
		if s.draining() || !s.slot() {
			s.recycle(b)
			continue
		}
		l.take(ctx, from, b)
	}
}

// Close ends the socket and waits.
func (l *plain) Close() error {
	err := l.conn.Close()
	l.stop()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.work.Wait()
	return err
}

// take hands a datagram to its peer's goroutine.
func (l *plain) take(ctx context.Context, from netip.AddrPort, b *[]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[from]
	// Strangers must not take the slots of those who have a session with DTLS.
	if l.closed || l.refs == cap(l.s.slots)/2 || p != nil && p.refs == maxWaiting {
		l.s.recycle(b)
		<-l.s.slots
		return
	}
	if p == nil {
		p = l.meet(from)
	}
	if p.at != nil {
		l.order.Remove(p.at)
		p.at = nil
	}
	p.refs++
	l.refs++
	p.queue = append(p.queue, b)
	if !p.running {
		p.running = true
		l.work.Go(func() { l.run(ctx, p) })
	}
}

func (l *plain) meet(from netip.AddrPort) *plainPeer {
	p := &plainPeer{addr: from}
	p.remote = func() net.Addr { return net.UDPAddrFromAddrPort(from) }
	p.send = func(b []byte) { _, _ = l.conn.WriteToUDPAddrPort(b, from) } // UDP may lose it all the same
	p.leave = func() { l.left(p) }
	l.peers[from] = p
	return p
}

// run begins what waits. When nothing more does, this goroutine is the one that
// waits for the platform.
func (l *plain) run(ctx context.Context, p *plainPeer) {
	for {
		l.mu.Lock()
		b := p.queue[0]
		p.queue = p.queue[1:]
		l.mu.Unlock()
		x := l.s.begin(ctx, &p.peer, b)
		l.mu.Lock()
		last := len(p.queue) == 0
		p.running = !last
		l.mu.Unlock()
		switch {
		case last:
			if x != nil {
				x.await()
			}
			return
		case x != nil:
			l.work.Go(x.await)
		}
	}
}

// left notes that a request is done. An address without any is forgotten, unless
// answers to it must be remembered for a while.
func (l *plain) left(p *plainPeer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refs--
	if p.refs--; p.refs > 0 {
		return
	}
	if !p.known.Load() {
		delete(l.peers, p.addr)
		return
	}
	p.since = time.Now()
	p.at = l.order.PushBack(p)
	for {
		first, _ := l.order.Front().Value.(*plainPeer)
		if l.order.Len() <= maxPeers && p.since.Sub(first.since) <= exchangeLifetime {
			return
		}
		l.order.Remove(first.at)
		delete(l.peers, first.addr)
	}
}
