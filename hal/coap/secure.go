// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"container/list"
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"sync"

	"github.com/pion/dtls/v3"
)

// What a datagram begins with that matters for routing: the header of its first
// record (RFC 6347 section 4.1, RFC 9146 section 4).
const (
	recordCCS       = 20
	recordHandshake = 22
	recordData      = 23
	recordCID       = 25
	recordHeader    = 13 // without a connection id, which stands before the length
	cidAt           = 11

	helloClient = 1
	helloServer = 2

	randomAt   = recordHeader + 12 + 2 // behind the header of the message and a version
	randomSize = 32
)

// isHello reports whether a datagram begins with a handshake message of a kind
// before anything is encrypted.
func isHello(b []byte, kind byte) bool {
	return len(b) > recordHeader && b[0] == recordHandshake && b[3] == 0 && b[4] == 0 && b[recordHeader] == kind
}

// isFirstHello reports whether a datagram begins a handshake. One with a cookie of
// a handshake that had to make room does not: its client will begin anew.
func isFirstHello(b []byte) bool {
	const number = recordHeader + 4 // of the message, behind type and length
	return isHello(b, helloClient) && len(b) > number+1 && b[number] == 0 && b[number+1] == 0
}

// changesKeys reports whether one of a datagram's records says that its sender
// encrypts from now on.
func changesKeys(b []byte) bool {
	for len(b) >= recordHeader {
		if b[0] == recordCCS {
			return true
		}
		b = b[min(recordHeader+int(b[11])<<8+int(b[12]), len(b)):]
	}
	return false
}

// secure is a socket with DTLS: it finds out whose a datagram is.
//
// A link is fresh until the client showed its cookie, then proven until the
// handshake is over, then open. At one address there may be an open link and one
// that is about to replace it: a device that was restarted begins anew, and nobody
// else can, for lack of the cookie.
type secure struct {
	s       *Server
	conn    *net.UDPConn
	options []dtls.ServerOption
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	shakes map[netip.AddrPort]*link // fresh and proven
	open   map[netip.AddrPort]*link
	cids   map[[cidSize]byte]*link
	stages [3]*list.List // of links in a stage, the one silent longest in front
	limits [3]int
}

// stage is how far a link has come.
type stage int

const (
	fresh stage = iota
	proven
	open
	gone
)

func newSecure(ctx context.Context, stop context.CancelFunc, s *Server, conn *net.UDPConn) *secure {
	third := s.cfg.MaxHandshakes / 3
	return &secure{
		s: s, conn: conn, stop: stop, options: s.handshake(ctx),
		shakes: map[netip.AddrPort]*link{}, open: map[netip.AddrPort]*link{}, cids: map[[cidSize]byte]*link{},
		stages: [3]*list.List{list.New(), list.New(), list.New()},
		limits: [3]int{2 * third, third, max(s.cfg.MaxMemory/sessionMemory, 1)},
	}
}

// Close ends the socket and waits.
func (l *secure) Close() error {
	l.stop()
	l.mu.Lock()
	l.closed = true
	for _, links := range l.stages {
		for e := links.Front(); e != nil; e = e.Next() {
			k, _ := e.Value.(*link)
			k.end()
		}
	}
	l.mu.Unlock()
	l.work.Wait()
	return l.conn.Close()
}

// route hands a datagram to its link. It takes b over.
func (l *secure) route(ctx context.Context, b *[]byte, from netip.AddrPort) {
	l.mu.Lock()
	k := l.find(*b, from)
	if k != nil && k.stage == fresh && !k.sameHello(*b) {
		l.forget(k) // the device was restarted before it got far
		k.end()
		k = nil
	}
	if k == nil && isFirstHello(*b) && !l.closed {
		k = l.accept(ctx, from)
		k.noteHello(*b)
	}
	if k != nil && k.stage == open {
		l.stages[open].MoveToBack(k.at)
	}
	l.mu.Unlock()
	if k == nil || !k.put(b, from) {
		l.s.recycle(b)
	}
}

// find returns the link a datagram is for, nil for none yet.
func (l *secure) find(b []byte, from netip.AddrPort) *link {
	if len(b) < recordHeader {
		return nil
	}
	if b[0] == recordCID {
		if len(b) < cidAt+cidSize {
			return nil
		}
		return l.cids[[cidSize]byte(b[cidAt:])]
	}
	newer, older := l.shakes[from], l.open[from]
	if newer == nil {
		if older != nil && isHello(b, helloClient) {
			return nil
		}
		return older
	}
	if newer.stage == proven && changesKeys(b) {
		newer.keyed = true
	}
	// Data goes to the newer session once its client has keys for it.
	if older != nil && b[0] == recordData && !newer.keyed {
		return older
	}
	return newer
}

// accept begins a handshake.
func (l *secure) accept(ctx context.Context, from netip.AddrPort) *link {
	k := newLink(l, from)
	l.shakes[from] = k
	l.enter(k, fresh)
	l.work.Go(func() { l.run(ctx, k) })
	return k
}

// enter puts a link into a stage, where it is the newest, and ends the oldest if
// there are too many.
func (l *secure) enter(k *link, to stage) {
	l.leave(k)
	k.stage, k.at = to, l.stages[to].PushBack(k)
	if l.stages[to].Len() > l.limits[to] {
		oldest, _ := l.stages[to].Front().Value.(*link)
		l.forget(oldest)
		oldest.end()
	}
}

func (l *secure) leave(k *link) {
	if k.at != nil {
		l.stages[k.stage].Remove(k.at)
		k.at = nil
	}
}

// prove notes that a client showed its cookie: the server says hello to it.
func (l *secure) prove(k *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.stage == fresh {
		l.enter(k, proven)
	}
}

// name chooses the connection id of a link.
func (l *secure) name(k *link) []byte {
	cid := make([]byte, cidSize)
	_, _ = rand.Read(cid) // never fails
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.stage != gone {
		k.cid, k.named = [cidSize]byte(cid), true
		l.cids[k.cid] = k
	}
	return cid
}

// establish notes that a handshake is over. The link it replaces at its address
// ends, unless connection ids lead to it wherever it is now. ok is false when it
// had to make room meanwhile.
func (l *secure) establish(k *link) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.stage == gone || l.closed {
		return false
	}
	delete(l.shakes, k.addr)
	if older := l.open[k.addr]; older != nil && !older.named {
		l.forget(older)
		older.end()
	}
	l.open[k.addr] = k
	l.enter(k, open)
	return true
}

// remove forgets a link whose goroutine ends.
func (l *secure) remove(k *link) {
	l.mu.Lock()
	l.forget(k)
	l.mu.Unlock()
	k.end()
}

// forget makes sure that nothing more reaches a link.
func (l *secure) forget(k *link) {
	l.leave(k)
	k.stage = gone
	if l.shakes[k.addr] == k {
		delete(l.shakes, k.addr)
	}
	if l.open[k.addr] == k {
		delete(l.open, k.addr)
	}
	if k.named && l.cids[k.cid] == k {
		delete(l.cids, k.cid)
	}
}
