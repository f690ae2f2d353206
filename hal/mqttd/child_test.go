// SPDX-License-Identifier: Apache-2.0

//go:build unix

package mqttd_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openalink/iot/hal/mqttd"
)

// The benchmarks measure a server in a process of its own, so that the memory
// and the processor time of the generator do not count.

const childEnv = "MQTTD_TEST_CHILD"

// childStats is what the child answers to a line on its standard input.
type childStats struct {
	RSS     int64         // bytes
	CPU     time.Duration // user and system
	Mallocs uint64
	Conns   int
}

// serveChild is the main function of the child. mode is "tcp" or "tls".
func serveChild(mode string) {
	s, err := mqttd.New(mqttd.Config{Access: acceptAll{}})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	addr := l.Addr().String()
	if mode == "tls" {
		l = tls.NewListener(l, serverTLS())
	}
	go func() { _ = s.Serve(l) }()
	fmt.Println(addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		_ = json.NewEncoder(os.Stdout).Encode(stats(s))
	}
}

func stats(s *mqttd.Server) childStats {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return childStats{
		RSS:     rss(),
		CPU:     time.Duration(ru.Utime.Nano() + ru.Stime.Nano()),
		Mallocs: m.Mallocs,
		Conns:   s.Conns(),
	}
}

func rss() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	_, _ = fmt.Sscan(string(b), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// child is a running child process.
type child struct {
	addr string
	in   io.Writer
	out  *bufio.Reader
}

func startChild(tb testing.TB, mode string) *child {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	c := &child{in: in, out: bufio.NewReader(out)}
	line, err := c.out.ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	c.addr = strings.TrimSpace(line)
	return c
}

func (c *child) stats(tb testing.TB) (s childStats) {
	tb.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		tb.Fatal(err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(line, &s); err != nil {
		tb.Fatal(err)
	}
	return s
}
