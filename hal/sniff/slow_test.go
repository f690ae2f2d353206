// SPDX-License-Identifier: Apache-2.0

package sniff_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hal/sniff"
	"github.com/openalink/iot/internal/mqttwire"
)

const upgrade = "GET /mqtt HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

// masked is a frame of a client, with a key of zeros.
func masked(opcode byte, payload []byte) []byte {
	b := []byte{0x80 | opcode, 0x80 | byte(min(len(payload), 126))}
	if len(payload) >= 126 {
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// loris are ways to keep a connection without logging in: what is said at once,
// and what is said every second.
var loris = []struct {
	name  string
	first string
	drip  func(i int) []byte
}{
	{"silent", "", nil},
	{"header drips", "", func(i int) []byte { return []byte{upgrade[i%len(upgrade)]} }},
	{"upgraded and silent", upgrade, nil},
	{"frame drips", upgrade, func(i int) []byte {
		// A frame of a megabyte, in which a CONNECT never ends.
		const frame = "\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x10\x7f"
		return []byte{frame[min(i, len(frame)-1)]}
	}},
	{"CONNECT drips", upgrade, func(i int) []byte { return masked(2, connectBytes()[i%20:i%20+1]) }},
	{"pings", upgrade, func(int) []byte { return masked(9, []byte("still here")) }},
	{"empty frames", upgrade, func(int) []byte { return masked(2, nil) }},
}

func connectBytes() []byte {
	return mqttwire.AppendConnect(nil, &mqttwire.Connect{Level: mqttwire.Level311, ClientID: "slow", KeepAlive: 60, CleanSession: true})
}

// TestSlowLoris: 7,000 connections that never log in cost bounded memory for a
// bounded time, and a device notices nothing.
func TestSlowLoris(t *testing.T) {
	const each = 1000
	synctest.Test(t, func(t *testing.T) {
		a := new(haltest.FakeAccess)
		door, err := mqttd.New(mqttd.Config{Access: a})
		if err != nil {
			t.Fatal(err)
		}
		port, err := sniff.New(sniff.Config{MQTT: door, MaxWaiting: 10 * each})
		if err != nil {
			t.Fatal(err)
		}
		network := new(mem.Network)
		l, err := network.Listen("port")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = port.Serve(l) }()
		s := logIn(t, network, a)

		before := inUse()
		var attackers sync.WaitGroup
		alive := make([]atomic.Int32, len(loris))
		for i, way := range loris {
			for range each {
				alive[i].Add(1)
				attackers.Go(func() {
					defer alive[i].Add(-1)
					slow(t, network, way.first, way.drip)
				})
			}
		}
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		for i, way := range loris {
			if n := alive[i].Load(); n != each {
				t.Errorf("%s: %d connections are open after 3.5 s, want all", way.name, n)
			}
		}
		per := (inUse() - before) / uint64(len(loris)*each)
		t.Logf("%d bytes a connection, both ends", per)
		if per > 40<<10 {
			t.Errorf("%d bytes a connection, want 40 KB at most", per)
		}
		s.alive(t)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for i, way := range loris {
			if n := alive[i].Load(); n > 0 {
				t.Errorf("%s: %d connections are open after 20 s more", way.name, n)
			}
		}
		if n := door.Conns(); n != 1 {
			t.Errorf("the MQTT server has %d connections, want the device's", n)
		}
		s.alive(t)
		attackers.Wait()
		_ = s.nc.Close()
		_ = port.Close()
		_ = door.Close()
	})
}

// slow keeps a connection until the server ends it.
func slow(t *testing.T, network *mem.Network, first string, drip func(int) []byte) {
	nc, err := network.DialContext(context.Background(), "tcp", "port")
	if err != nil {
		t.Error(err)
		return
	}
	defer nc.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, nc)
	}()
	_, _ = io.WriteString(nc, first)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			if drip != nil {
				_, _ = nc.Write(drip(i))
			}
		case <-ended:
			return
		}
	}
}

// inUse is the memory of everything alive.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// honest is a device that is logged in.
type honest struct {
	nc net.Conn
	s  *haltest.FakeSession
	r  *mqttwire.Reader
}

func logIn(t *testing.T, network *mem.Network, a *haltest.FakeAccess) *honest {
	t.Helper()
	nc, err := network.DialContext(t.Context(), "tcp", "port")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write(connectBytes()); err != nil {
		t.Fatal(err)
	}
	h := &honest{nc: nc, s: a.Next(t), r: mqttwire.NewReader(nc, mqttwire.MaxRemaining)}
	if p, err := h.r.Next(); err != nil || p.Type() != mqttwire.TypeConnack {
		t.Fatalf("%v, %v", p.Type(), err)
	}
	return h
}

// alive posts, and has the acknowledgement without a second going by.
func (h *honest) alive(t *testing.T) {
	t.Helper()
	start := time.Now()
	if _, err := h.nc.Write(mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", QoS: 1, PacketID: 1})); err != nil {
		t.Fatal(err)
	}
	h.s.Received(t).Done([]iot.Message(nil), error(nil))
	if p, err := h.r.Next(); err != nil || p.Type() != mqttwire.TypePuback {
		t.Fatalf("%v, %v", p.Type(), err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("an acknowledgement took %v", took)
	}
}
