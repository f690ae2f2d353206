// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"container/list"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/transport/v5/deadline"
)

// linkQueue is how many datagrams may wait for the library to read them; more
// are lost, as on a socket whose buffer is full.
const linkQueue = 16

// link is one client of a DTLS socket: the net.PacketConn that the library speaks
// through.
type link struct {
	l      *secure
	addr   netip.AddrPort              // where it began
	remote atomic.Pointer[net.UDPAddr] // where its latest datagram came from
	in     chan packet
	ended  chan struct{}
	once   sync.Once
	until  *deadline.Deadline
	refs   atomic.Int32 // requests in progress

	// Guarded by secure.mu.
	stage stage
	at    *list.Element
	keyed bool // its client has changed to encryption
	named bool
	cid   [cidSize]byte
	hello [randomSize]byte // what tells one try of a client from the next
}

// packet is a datagram and where it came from.
type packet struct {
	b    *[]byte
	from netip.AddrPort
}

func newLink(l *secure, from netip.AddrPort) *link {
	k := &link{l: l, addr: from, in: make(chan packet, linkQueue), ended: make(chan struct{}), until: deadline.New()}
	k.remote.Store(net.UDPAddrFromAddrPort(from))
	return k
}

// noteHello notes whose handshake it is.
func (k *link) noteHello(b []byte) {
	if len(b) >= randomAt+randomSize {
		copy(k.hello[:], b[randomAt:])
	}
}

// sameHello reports whether a datagram is not the beginning of another handshake.
func (k *link) sameHello(b []byte) bool {
	return !isHello(b, helloClient) || len(b) < randomAt+randomSize || [randomSize]byte(b[randomAt:]) == k.hello
}

// put queues a datagram if there is room.
func (k *link) put(b *[]byte, from netip.AddrPort) bool {
	select {
	case k.in <- packet{b, from}:
		return true
	default:
		return false
	}
}

// end has the library find the connection closed.
func (k *link) end() { k.once.Do(func() { close(k.ended) }) }

// ReadFrom implements net.PacketConn.
func (k *link) ReadFrom(dst []byte) (int, net.Addr, error) {
	select {
	case <-k.until.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case <-k.ended:
		return 0, nil, net.ErrClosed
	default:
	}
	select {
	case p := <-k.in:
		n := copy(dst, *p.b)
		k.l.s.recycle(p.b)
		addr := k.remote.Load()
		if addr.AddrPort() != p.from {
			addr = net.UDPAddrFromAddrPort(p.from)
			k.remote.Store(addr)
		}
		return n, addr, nil
	case <-k.until.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case <-k.ended:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo implements net.PacketConn.
func (k *link) WriteTo(b []byte, to net.Addr) (int, error) {
	if isHello(b, helloServer) {
		k.l.prove(k)
	}
	addr, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, net.InvalidAddrError("coap: not a UDP address")
	}
	return k.l.conn.WriteToUDPAddrPort(b, addr.AddrPort())
}

// follow waits until answers go to where the client speaks from now. The library
// hands over what it read, and only then notes that it came from elsewhere: an answer
// that is quicker would go to the old address. Somebody who repeats the connection id
// from a third address has the client's answers wait so long, 13 ms at most.
func (k *link) follow(remote func() net.Addr) {
	for pause := 50 * time.Microsecond; pause < 10*time.Millisecond; pause *= 2 {
		addr, ok := remote().(*net.UDPAddr)
		if !ok || addr.AddrPort() == k.remote.Load().AddrPort() {
			return
		}
		time.Sleep(pause)
	}
}

// Close implements net.PacketConn.
func (k *link) Close() error {
	k.end()
	return nil
}

// LocalAddr implements net.PacketConn.
func (k *link) LocalAddr() net.Addr { return k.l.conn.LocalAddr() }

// SetDeadline implements net.PacketConn. Writes do not wait.
func (k *link) SetDeadline(t time.Time) error { return k.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (k *link) SetReadDeadline(t time.Time) error {
	k.until.Set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn.
func (k *link) SetWriteDeadline(time.Time) error { return nil }
