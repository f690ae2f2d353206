// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/openalink/iot/internal/mqttwire"
)

// client writes and reads packets, right or wrong ones.
type client struct {
	t  testing.TB
	nc net.Conn
	r  *mqttwire.Reader
}

func newClient(t testing.TB, nc net.Conn) *client {
	return &client{t: t, nc: nc, r: mqttwire.NewReader(nc, mqttwire.MaxRemaining)}
}

// write sends bytes. An error is ignored: the door may have closed already,
// and reading tells.
func (c *client) write(b []byte) {
	c.t.Helper()
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(b); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the door reads nothing")
	}
}

// next reads a packet; it is the caller's.
func (c *client) next() mqttwire.Packet {
	c.t.Helper()
	p, err := c.read()
	if err != nil {
		c.t.Fatalf("waited for a packet: %v", err)
	}
	return p
}

func (c *client) read() (mqttwire.Packet, error) {
	if err := c.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return mqttwire.Packet{}, err
	}
	p, err := c.r.Next()
	p.Body = bytes.Clone(p.Body)
	return p, err
}

// expect reads one packet, which must be these bytes.
func (c *client) expect(want []byte) {
	c.t.Helper()
	p := c.next()
	got := append([]byte{p.First}, p.Body...)
	_, n, err := mqttwire.Split(want, mqttwire.MaxRemaining)
	if err != nil || n != len(want) {
		c.t.Fatalf("test is wrong: % x is not a packet", want)
	}
	head := n - len(p.Body)
	if len(p.Body) > n || head < 2 || want[0] != p.First || !bytes.Equal(want[head:], p.Body) {
		c.t.Fatalf("got %v % x, want % x", p.Type(), got, want)
	}
}

// expectEnd checks that the door closes the connection and sends nothing more.
func (c *client) expectEnd() {
	c.t.Helper()
	p, err := c.read()
	if err == nil {
		c.t.Fatalf("got %v % x, want the end of the connection", p.Type(), p.Body)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("connection stays open, want its end")
	}
}

// ping is a barrier: everything before it was handled, and nothing but its
// answer was sent.
func (c *client) ping() {
	c.t.Helper()
	c.write(mqttwire.AppendPingreq(nil))
	c.expect(mqttwire.AppendPingresp(nil))
}

// publish sends a QoS 1 message.
func (c *client) publish(id uint16, topic, payload string) {
	c.t.Helper()
	c.write(publishBytes(id, topic, payload))
}

func publishBytes(id uint16, topic, payload string) []byte {
	m := mqttwire.Publish{Topic: topic, Payload: []byte(payload), PacketID: id}
	if id > 0 {
		m.QoS = 1
	}
	return mqttwire.AppendPublish(nil, &m)
}

// expectAcks checks that the next packets are these PUBACKs.
func (c *client) expectAcks(ids ...uint16) {
	c.t.Helper()
	for _, id := range ids {
		c.expect(mqttwire.AppendPuback(nil, id))
	}
}

func (c *client) close() { _ = c.nc.Close() }

// drain reads until the connection ends.
func (c *client) drain() {
	_ = c.nc.SetReadDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, c.nc)
}
