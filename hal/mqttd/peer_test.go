// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/openalink/iot/internal/mqttwire"
)

// peer is the client's end of a connection.
type peer struct {
	net.Conn
	t testing.TB
	r *mqttwire.Reader
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &peer{Conn: nc, t: t, r: mqttwire.NewReader(nc, mqttwire.MaxRemaining)}
}

func dialTCP(t testing.TB, addr string) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, nc)
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) connect() {
	p.t.Helper()
	p.send(connectPacket())
	p.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{}))
}

func connectPacket() []byte {
	return mqttwire.AppendConnect(nil, &mqttwire.Connect{
		Level: mqttwire.Level311, ClientID: "test", CleanSession: true,
		HasUserName: true, UserName: "user", HasPassword: true, Password: []byte("s3cret"),
	})
}

func (p *peer) expect(want []byte) {
	p.t.Helper()
	got, err := p.r.Next()
	if err != nil || got.First != want[0] || !bytes.HasSuffix(want, got.Body) {
		p.t.Fatalf("got %v % x %v, want % x", got.Type(), got.Body, err, want)
	}
}

func (p *peer) expectEnd() {
	p.t.Helper()
	if got, err := p.r.Next(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("got %v %v, want the end of the connection", got.Type(), err)
	}
}
