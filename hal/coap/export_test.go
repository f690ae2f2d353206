// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"crypto/aes"
	"net"

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
