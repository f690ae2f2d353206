// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/https"
)

// memory returns what the child occupies, in MB.
func (h *hubd) memory() int {
	h.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	kb := 0
	for line := range bytes.Lines(raw) {
		_, _ = fmt.Sscanf(string(line), "VmRSS: %d kB", &kb)
	}
	return kb >> 10
}

// drips are connections of somebody who means no good.
type drips struct {
	conns []net.Conn
	ended []bool
}

// open opens n connections, some at a time, after hello says its part.
func (d *drips) open(t *testing.T, n int, addr string, hello func(net.Conn) (net.Conn, error)) {
	t.Helper()
	var mu sync.Mutex
	var opening sync.WaitGroup
	slots := make(chan struct{}, 32)
	for range n {
		opening.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			nc, err := net.Dial("tcp", addr)
			if err == nil {
				nc, err = hello(nc)
			}
			if err != nil {
				return // turned away: good for hubd
			}
			mu.Lock()
			defer mu.Unlock()
			d.conns = append(d.conns, nc)
		})
	}
	opening.Wait()
}

// drip sends a byte over each.
func (d *drips) drip() {
	for _, nc := range d.conns {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write([]byte("x")) // closed, or not
	}
}

// left returns how many are left.
func (d *drips) left() int {
	if d.ended == nil {
		d.ended = make([]bool, len(d.conns))
	}
	left, b := 0, make([]byte, 4096)
	for i, nc := range d.conns {
		for !d.ended[i] {
			_ = nc.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := nc.Read(b); err != nil {
				d.ended[i] = !errors.Is(err, os.ErrDeadlineExceeded)
				break
			}
		}
		if !d.ended[i] {
			left++
		}
	}
	return left
}

func (d *drips) close() {
	for _, nc := range d.conns {
		_ = nc.Close()
	}
}

// TestSlowLoris: 5,000 connections that drip, or do nothing, cost bounded memory
// and end, and a device keeps posting meanwhile, over the connection it has and over
// new ones.
func TestSlowLoris(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("memory is read from /proc")
		return
	}
	program := filepath.Join(t.TempDir(), "hubd") // the test's own may be built for the race detector, which takes six times the memory
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	h := startProgram(t, program, "-data", t.TempDir(), "-provision", fleetFile(t, 1), "-limits", "none", "-api-key", apiKey, "-http", "127.0.0.1:0", "-https", "127.0.0.1:0", "-log", "error")
	addr := h.addr["https"]
	stop, posted := make(chan struct{}), make(chan string, 1)
	connected := make(chan struct{})
	go func() { posted <- h.keepPosting(connected, stop) }()
	<-connected
	before := h.memory()
	start := time.Now()
	secured := func(request string) func(net.Conn) (net.Conn, error) {
		return func(nc net.Conn) (net.Conn, error) {
			_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
			c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
			_, err := c.Write([]byte(request)) // with the handshake in front
			return c, err
		}
	}
	var hello, header, body, idle drips
	for _, d := range []*drips{&hello, &header, &body, &idle} {
		defer d.close()
	}
	hello.open(t, 2000, addr, func(nc net.Conn) (net.Conn, error) { _, err := nc.Write([]byte{0x16, 3, 1, 2}); return nc, err })
	header.open(t, 1500, addr, secured("POST /auth HTTP/1.1\r\nHost: x\r\nX-Slow: "))
	body.open(t, 1000, addr, secured("POST /auth HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n"))
	idle.open(t, 500, addr, secured("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"))
	opened := time.Since(start)
	peak := 0
	for end := time.Now().Add(13 * time.Second); time.Now().Before(end); {
		for _, d := range []*drips{&hello, &header, &body} {
			d.drip()
		}
		peak = max(peak, h.memory())
		time.Sleep(500 * time.Millisecond)
	}
	// They have ten seconds each, from when hubd came to them.
	left, last := -1, time.Now().Add(time.Minute)
	for left != 0 && time.Now().Before(last) {
		hello.drip()
		header.drip()
		left = hello.left() + header.left()
		peak = max(peak, h.memory())
	}
	if left > 0 {
		t.Errorf("%d connections that drip their greeting or header are open after %v", left, time.Since(start))
	}
	close(stop)
	t.Logf("%d+%d+%d+%d connections in %v; memory %d MB, %d MB at most; device: %s",
		len(hello.conns), len(header.conns), len(body.conns), len(idle.conns), opened.Round(time.Millisecond), before, peak, <-posted)
	if peak-before > 200 {
		t.Errorf("memory rose from %d to %d MB", before, peak)
	}
}

// keepPosting posts until stop, over one connection and over new ones, and returns
// what came of it.
func (h *hubd) keepPosting(connected chan<- struct{}, stop <-chan struct{}) string {
	transport := &https.Transport{URL: "https://" + h.addr["https"], TLS: &tls.Config{InsecureSkipVerify: true}}
	c, err := device.New(device.Config{
		Identity: hal.Identity{Device: iot.DeviceID{Product: productKey, Name: name(0)}, DeviceSecret: auth.NewSecret(secret)}, Transport: transport,
	})
	if err != nil {
		h.t.Error(err)
	}
	defer c.Close()
	if err := c.Connect(h.t.Context()); err != nil {
		h.t.Error(err)
	}
	close(connected)
	posts, logins, slowest := 0, 0, time.Duration(0)
	for i := 0; ; i++ {
		select {
		case <-stop:
			return fmt.Sprintf("%d posts, %d logins, the slowest took %v", posts, logins, slowest)
		default:
		}
		start := time.Now()
		if err := c.PostProperties(h.t.Context(), map[string]int{"i": i}); err != nil {
			h.t.Errorf("post %d: %v", i, err)
			<-stop
			return "failed"
		}
		posts++
		if i%10 == 0 { // a new connection
			fresh := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, Timeout: 5 * time.Second}
			resp, err := fresh.Post("https://"+h.addr["https"]+"/auth", "application/json", bytes.NewReader(nil))
			if err != nil {
				h.t.Errorf("a new connection: %v", err)
			} else {
				_ = resp.Body.Close()
				logins++
			}
		}
		slowest = max(slowest, time.Since(start))
		time.Sleep(20 * time.Millisecond)
	}
}
