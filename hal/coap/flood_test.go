// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
)

// hello is a ClientHello of vendor firmware, made by the library.
func hello(t *testing.T) []byte {
	t.Helper()
	pipe, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	conn, err := net.Dial("udp", pipe.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { _, _ = dialDTLS(impatience, conn, withPSK()...) })
	b := make([]byte, 2048)
	n, _, err := pipe.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// withCookie makes the second ClientHello of the first and the cookie sent for it.
func withCookie(first, verify []byte) []byte {
	const record, message, random = 13, 12, 34
	cookie := verify[record+message+3:] // behind version and length
	at := record + message + random + 1 // behind the empty session id
	b := append([]byte(nil), first[:at]...)
	b = append(append(append(b, byte(len(cookie))), cookie...), first[at+1:]...)
	length := len(b) - record
	b[11], b[12] = byte(length>>8), byte(length)
	length -= message
	b[10]++                          // number of the record
	b[record+5]++                    // number of the message
	for _, at := range []int{1, 9} { // its length, and that of the one fragment
		b[record+at], b[record+at+1], b[record+at+2] = 0, byte(length>>8), byte(length)
	}
	return b
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// TestHandshakesThatNeverFinish: 20,000 of them, half of which show their cookie,
// take less than 64 MB, and a device that has a session notices nothing. New ones
// get in all the while.
func TestHandshakesThatNeverFinish(t *testing.T) {
	const flood, bar = 20_000, 64 << 20
	p := serve(t, hub.NoLimits(), nil)
	s := dialPSK(t, p.secure)
	token := tokenOf(t, s.ask(post("/auth", "", []byte(signed(labSecret, lab)))))
	first := hello(t)
	before := heap()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var slowest time.Duration
	posts := 0
	all.Go(func() {
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil {
			<-pace.C
			start := time.Now()
			if a := s.ask(post(labPost, token, []byte(onePost))); a.code != byte(coap.CodeContent) {
				t.Errorf("post: %v %s", coap.Code(a.code), a.payload)
				return
			}
			slowest, posts = max(slowest, time.Since(start)), posts+1
		}
	})
	highest, proven, logins := uint64(0), 0, 0
	for n := range flood {
		if shake(t, p.secure, first, n) {
			proven++
		}
		if n%2000 == 1999 {
			highest = max(highest, heap())
			c, err := tryPSK(patience, p.secure, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256)
			if err != nil {
				t.Errorf("a new device: %v", err)
				continue
			}
			logins++
			_ = c.Close()
		}
	}
	cancel()
	all.Wait()
	t.Logf("%d handshakes, %d with a cookie: %d KB; %d posts meanwhile, the slowest took %v; %d new sessions",
		flood, proven, (highest-before)>>10, posts, slowest, logins)
	if highest > before+bar {
		t.Errorf("%d MB, want less than %d", (highest-before)>>20, bar>>20)
	}
	if proven < flood/3 || posts < 100 || slowest > time.Second {
		t.Errorf("%d with a cookie, %d posts, the slowest %v", proven, posts, slowest)
	}
}

// shake begins a handshake from a new address; every other one shows its cookie.
func shake(t *testing.T, addr string, first []byte, n int) (proven bool) {
	conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}}).Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(first); err != nil {
		t.Fatal(err)
	}
	if n%2 == 0 {
		return false
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 2048)
	size, err := conn.Read(b)
	if err != nil || size < 28 || b[13] != 3 {
		return false
	}
	_, _ = conn.Write(withCookie(first, b[:size]))
	size, err = conn.Read(b)
	return err == nil && size > 13 && b[13] == 2
}

// The tables are bounded by what is configured.
func TestSessionsAreBounded(t *testing.T) {
	p := serve(t, hub.NoLimits(), func(cfg *coap.Config) { cfg.MaxMemory, cfg.MaxSessions = 3*48<<10, 3 })
	var secure []*speaker
	var plain []*login
	s := p.speak(p.plain)
	for range 5 {
		d := dialPSK(t, p.secure)
		d.logsInAndPosts("session")
		secure, plain = append(secure, d), append(plain, s.symmetric(labSecret, lab))
	}
	for i := range 5 {
		_ = secure[i].conn.SetReadDeadline(time.Now().Add(patience))
		expected := coap.CodeContent
		if i < 2 {
			expected = coap.CodeUnauthorized
			if _, err := secure[i].conn.Read(make([]byte, 100)); err == nil {
				t.Errorf("session %d goes on", i)
			}
		} else {
			secure[i].logsInAndPosts(fmt.Sprint("session ", i))
		}
		expect(t, fmt.Sprint("AES ", i), s.ask(plain[i].post(labPost, []byte(onePost))), expected)
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	p := serve(t, hub.NoLimits(), func(cfg *coap.Config) { cfg.Idle = 50 * time.Millisecond })
	s := p.speak(p.plain)
	l := s.symmetric(labSecret, lab)
	d := dialPSK(t, p.secure) // the later of the two: its end is that of both
	_ = d.conn.SetReadDeadline(time.Now().Add(patience))
	_, err := d.conn.Read(make([]byte, 100))
	if ne, ok := errors.AsType[net.Error](err); err == nil || ok && ne.Timeout() {
		t.Errorf("the session goes on: %v", err)
	}
	expect(t, "AES", s.ask(l.post(labPost, []byte(onePost))), coap.CodeUnauthorized)
}
