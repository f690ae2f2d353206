// SPDX-License-Identifier: Apache-2.0

//go:build unix

package mqttd_test

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/internal/mqttwire"
)

const (
	benchConns  = 100
	benchWindow = 20
	benchBytes  = 435
	idleRounds  = 5
)

var idleConns = flag.Int("idle", 1000, "connections of BenchmarkIdle")

// BenchmarkPublish drives the whole server over loopback: 100 connections with
// 20 messages of 435 bytes in flight each. server-ns is processor time.
func BenchmarkPublish(b *testing.B) {
	for qos := range byte(2) {
		b.Run(fmt.Sprintf("QoS%d", qos), func(b *testing.B) { benchmarkPublish(b, qos) })
	}
}

func benchmarkPublish(b *testing.B, qos byte) {
	srv := startChild(b, "tcp")
	conns := make([]net.Conn, benchConns)
	for i := range conns {
		conns[i] = login(b, srv.addr, nil, i)
		defer conns[i].Close()
	}
	b.SetBytes(benchBytes)
	before := srv.stats(b)
	b.ResetTimer()
	rounds := b.N/(benchConns*benchWindow) + 1
	var wg sync.WaitGroup
	for i, nc := range conns {
		wg.Go(func() {
			if err := drive(nc, qos, rounds, i); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	after := srv.stats(b)
	n := float64(rounds * benchConns * benchWindow)
	b.ReportMetric(float64((after.CPU-before.CPU).Nanoseconds())/n, "server-ns/op")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "server-allocs/op")
	b.ReportMetric(n/b.Elapsed().Seconds(), "msg/s")
}

// drive publishes rounds windows and ends with a ping, so that everything was
// handled when it returns.
func drive(nc net.Conn, qos byte, rounds, device int) error {
	var out []byte
	for i := range benchWindow {
		m := mqttwire.Publish{Topic: fmt.Sprintf("/sys/a1BenchPk001/dev%05d/thing/event/property/post", device), QoS: qos}
		if qos > 0 {
			m.PacketID = uint16(i + 1)
		}
		m.Payload = make([]byte, benchBytes-m.Len())
		out = mqttwire.AppendPublish(out, &m)
	}
	in := make([]byte, 4*benchWindow*int(qos))
	for range rounds {
		if _, err := nc.Write(out); err != nil {
			return err
		}
		if _, err := io.ReadFull(nc, in); err != nil {
			return err
		}
	}
	if _, err := nc.Write(mqttwire.AppendPingreq(nil)); err != nil {
		return err
	}
	_, err := io.ReadFull(nc, make([]byte, 2))
	return err
}

// login connects as device number i.
func login(tb testing.TB, addr string, cfg *tls.Config, i int) net.Conn {
	tb.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	if cfg != nil {
		nc = tls.Client(nc, cfg)
	}
	b := mqttwire.AppendConnect(nil, &mqttwire.Connect{
		Level: mqttwire.Level311, KeepAlive: 1200, CleanSession: true,
		ClientID:    fmt.Sprintf("a1BenchPk001.dev%05d|securemode=3,signmethod=hmacsha256,timestamp=2524608000000,_ss=1|", i),
		HasUserName: true, UserName: fmt.Sprintf("dev%05d&a1BenchPk001", i),
		HasPassword: true, Password: make([]byte, 64),
	})
	if _, err := nc.Write(b); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(nc, b[:4]); err != nil {
		tb.Fatal(err)
	}
	return nc
}

// BenchmarkConnect counts logins, one after the other on four connections.
func BenchmarkConnect(b *testing.B) {
	srv := startChild(b, "tcp")
	before := srv.stats(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := g; i < b.N; i += 4 {
				nc := login(b, srv.addr, nil, i)
				_ = nc.(*net.TCPConn).SetLinger(0) // no TIME_WAIT
				_ = nc.Close()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	after := srv.stats(b)
	b.ReportMetric(float64((after.CPU-before.CPU).Nanoseconds())/float64(b.N), "server-ns/op")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "server-allocs/op")
}

// BenchmarkSend sends deliveries of 200 bytes to a client that reads them.
func BenchmarkSend(b *testing.B) {
	a := new(haltest.FakeAccess)
	s, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	nc := login(b, l.Addr().String(), nil, 0)
	defer nc.Close()
	go func() { _, _ = io.Copy(io.Discard, nc) }()
	link := a.Next(b).Request.Link
	d := hal.Delivery{Message: iot.Message{Topic: "/sys/pk/dn/thing/service/property/set", Payload: make([]byte, 160)}}
	written := make(chan error, 1)
	report := func(err error) { written <- err }
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100 > 0 {
			link.Send(b.Context(), d, nil)
			continue
		}
		link.Send(b.Context(), d, report)
		if err := <-written; err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdle reports the resident memory of an idle connection after each of
// five rounds of reconnects. One run says all: use -benchtime 1x -idle 5000.
func BenchmarkIdle(b *testing.B) {
	b.Run("TCP", func(b *testing.B) { benchmarkIdle(b, "tcp", nil) })
	b.Run("TLS", func(b *testing.B) { benchmarkIdle(b, "tls", clientTLS()) })
}

func benchmarkIdle(b *testing.B, mode string, cfg *tls.Config) {
	n := min(*idleConns, openFiles()-200)
	for range b.N {
		srv := startChild(b, mode)
		login(b, srv.addr, cfg, 0).Close()
		empty := srv.stats(b).RSS
		conns := make([]net.Conn, n)
		for round := range idleRounds {
			reconnect(b, srv, cfg, conns)
			used := srv.stats(b).RSS - empty
			b.ReportMetric(float64(used)/float64(n), fmt.Sprintf("B/conn-round%d", round+1))
		}
		for _, nc := range conns {
			nc.Close()
		}
	}
}

// reconnect replaces every connection, eight at a time.
func reconnect(b *testing.B, srv *child, cfg *tls.Config, conns []net.Conn) {
	b.Helper()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := g; i < len(conns); i += 8 {
				if conns[i] != nil {
					conns[i].Close()
				}
				conns[i] = login(b, srv.addr, cfg, i)
			}
		})
	}
	wg.Wait()
	for srv.stats(b).Conns > len(conns) { // the server is not finished with the old ones
		runtime.Gosched()
	}
}

// openFiles is how many connections this process may have.
func openFiles() int {
	var limit syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return int(min(limit.Cur, 1<<20))
}
