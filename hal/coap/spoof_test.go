// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/pion/dtls/v3"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hal/haltest"
)

// lastWrite is a connection that remembers what was sent last.
type lastWrite struct {
	net.Conn
	mu   sync.Mutex
	last []byte
}

// Write implements net.Conn.
func (c *lastWrite) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.last = slices.Clone(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// TestForgedConnectionID: who saw the connection id of a session, and has none of its
// keys, does not draw its answers to another address.
func TestForgedConnectionID(t *testing.T) {
	access, before := new(haltest.FakeAccess), new(sync.Mutex)
	_, _, secure := listen(t, coap.Config{Platform: onlyAccess{access, before}})
	nc, err := net.Dial("udp", secure)
	if err != nil {
		t.Fatal(err)
	}
	wire := &lastWrite{Conn: nc}
	c, err := dialDTLS(patience, wire, append(withPSK(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256), dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &speaker{t: t, conn: c}
	if _, err := c.Write(post("/topic/a/b/c", "token", []byte("x")).bytes()); err != nil {
		t.Fatal(err)
	}
	flight := access.Next(t).Received(t)
	wire.mu.Lock()
	forged := slices.Clone(wire.last)
	wire.mu.Unlock()
	const sequence = 5 // where the six bytes of a record's number begin
	if forged[0] != 25 {
		t.Fatalf("a record of type %d has no connection id", forged[0])
	}
	other, err := net.Dial("udp", secure)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for range 10 {
		forged[sequence+4]++ // as if it were the latest
		if _, err := other.Write(forged); err != nil {
			t.Fatal(err)
		}
	}
	dialPSK(t, secure) // until what was sent before has been read
	flight.Done([]iot.Message{{Payload: []byte("{}")}}, nil)
	if a := s.receive(); string(a.payload) != "{}" {
		t.Errorf("answer %+v", a)
	}
}
