// SPDX-License-Identifier: Apache-2.0

// Command serve runs one of the servers the bench compares: the hub with its
// embedded store, the MQTT front door alone, or a general broker. It prints one
// line of JSON with what it has used when it is ready, for each line it reads
// and when it ends.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/openalink/iot/bench/load"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/store/bolt"
)

// server is what the flags say, and what runs.
type server struct {
	mode, addr, dir string
	devices         int
	fill, tls       bool
	count           bool // mochi: count at the publish hook
	allocs          bool

	meter *meter
	bolt  *bolt.Engine // nil unless the hub keeps a file
	// received is the broker's own counter, if it counts for us.
	received *int64
	// rules counts the rows a rule wrote, if there is one.
	rules func() int64
	stop  []func() // last one first
}

func main() {
	s := server{meter: new(meter)}
	flag.StringVar(&s.mode, "mode", "hub", "hub, hubrules, hubmem, accept, verify or mochi")
	flag.StringVar(&s.addr, "addr", "127.0.0.1:1883", "where to listen")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "where the hub's file goes")
	flag.IntVar(&s.devices, "devices", 5000, "how many devices the hub knows")
	flag.BoolVar(&s.fill, "fill", false, "have every device post once before anything else")
	flag.BoolVar(&s.tls, "tls", false, "TLS 1.2 with an RSA certificate")
	flag.BoolVar(&s.count, "count", false, "count the messages at the broker's publish hook")
	flag.BoolVar(&s.allocs, "allocs", false, "record every allocation, to tell those of the store from the others")
	profile := flag.String("pprof", "", "address of the profiler")
	flag.Parse()
	if s.allocs {
		runtime.MemProfileRate = 1
	}
	if *profile != "" {
		go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(*profile, nil)) }()
	}
	if err := s.run(); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func (s *server) run() error {
	if _, err := load.OpenFiles(); err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	defer func() {
		for i := len(s.stop) - 1; i >= 0; i-- {
			s.stop[i]()
		}
	}()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	asked := make(chan struct{})
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			asked <- struct{}{}
		}
	}()
	for {
		if err := json.NewEncoder(os.Stdout).Encode(s.snapshot()); err != nil {
			return err
		}
		select {
		case <-asked:
		case <-end:
			return json.NewEncoder(os.Stdout).Encode(s.snapshot())
		}
	}
}

func (s *server) start() error {
	// MQTT has a keep-alive of its own: that of TCP costs four system calls.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	if s.tls {
		if l, err = secure(l); err != nil {
			return err
		}
	}
	var a hal.Access
	switch s.mode {
	case "mochi":
		return s.startMochi(l)
	case "accept":
		a = door{s.meter}
	case "verify":
		a = checkedDoor{door{s.meter}}
	case "hub", "hubmem", "hubrules":
		if a, err = s.openHub(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("nothing is called %q", s.mode)
	}
	srv, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		return err
	}
	go func() { _ = srv.Serve(l) }()
	s.stop = append(s.stop, func() { _ = srv.Close() })
	return nil
}
