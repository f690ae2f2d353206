// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"crypto/aes"
	"net"
	"net/netip"

	"github.com/pion/dtls/v3"

	"github.com/openalink/iot/alink"
)

// VendorSuites are those of vendor firmware, for clients of tests.
func VendorSuites() []dtls.CipherSuite { return customSuites() }

// Seal encrypts a text as requests do.
func Seal(key, text []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return seal(nil, block, text)
}

// Unseal undoes Seal.
func Unseal(key, text []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return unseal(block, text)
}

// ParseCBOR reads the body of a login.
func ParseCBOR(b []byte) (alink.Signed, bool) { return parseCBOR(b) }

// Window is a window.
type Window struct{ w window }

// Take takes n if it is fresh.
func (w *Window) Take(n uint64) bool {
	if !w.w.fresh(n) {
		return false
	}
	w.w.take(n)
	return true
}

// Handle has a server take one datagram and returns what it sends.
func (s *Server) Handle(datagram []byte, secure bool) (sent [][]byte) {
	b := s.buffer()
	*b = (*b)[:copy(*b, datagram)]
	p := &peer{
		secure: secure,
		remote: func() net.Addr { return new(net.UDPAddr) },
		send:   func(raw []byte) { sent = append(sent, raw) },
		leave:  func() {},
	}
	s.slots <- struct{}{}
	if x := s.begin(context.Background(), p, b); x != nil {
		x.await()
	}
	return sent
}

// Routes is a DTLS socket's view of one address with an open session, and one
// about to replace it, and of one session by its connection id.
type Routes struct {
	l                   *secure
	from                netip.AddrPort
	newer, older, named *link
}

// NewRoutes makes Routes for a connection id.
func NewRoutes(s *Server, cid [8]byte) *Routes {
	r := &Routes{l: newSecure(context.Background(), func() {}, s, nil), from: netip.MustParseAddrPort("192.0.2.1:1")}
	r.newer, r.older, r.named = newLink(r.l, r.from), newLink(r.l, r.from), newLink(r.l, r.from)
	r.l.shakes[r.from], r.l.open[r.from], r.l.cids[cid] = r.newer, r.older, r.named
	r.l.enter(r.newer, proven)
	r.l.enter(r.older, open)
	r.l.enter(r.named, open)
	return r
}

// Find says whose a datagram is.
func (r *Routes) Find(b []byte) string {
	switch r.l.find(b, r.from) {
	case r.newer:
		return "newer"
	case r.older:
		return "older"
	case r.named:
		return "named"
	}
	return ""
}

// Hello reports what routing sees in a datagram.
func Hello(b []byte) (first, keys bool) {
	k := new(link)
	k.noteHello(b)
	return isFirstHello(b) && k.sameHello(b), changesKeys(b)
}
