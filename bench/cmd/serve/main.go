// SPDX-License-Identifier: Apache-2.0

// Command serve runs one of the servers the bench compares: the hub with its
// embedded store, the MQTT front door alone, or a general broker.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	mochiauth "github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/bench/load"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
	"github.com/openalink/iot/store/mem"
	"github.com/openalink/iot/topic"
)

func main() {
	mode := flag.String("mode", "hub", "hub, hubmem, accept, verify or mochi")
	addr := flag.String("addr", "127.0.0.1:1883", "where to listen")
	dir := flag.String("dir", os.TempDir(), "where the hub's file goes")
	devices := flag.Int("devices", 5000, "how many devices the hub knows")
	profile := flag.String("pprof", "", "address of the profiler")
	flag.Parse()
	if *profile != "" {
		go http.ListenAndServe(*profile, nil)
	}
	stop, err := start(*mode, *addr, *dir, *devices)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready", os.Getpid())
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGTERM, syscall.SIGINT)
	<-sig
	report()
	stop()
}

var messages atomic.Int64

func report() {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	cpu := time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	fmt.Printf("cpu=%v mallocs=%d bytes=%d gcs=%d messages=%d\n", cpu, ms.Mallocs, ms.TotalAlloc, ms.NumGC, messages.Load())
}

func start(mode, addr, dir string, devices int) (func(), error) {
	if mode == "mochi" {
		return startMochi(addr)
	}
	var a hal.Access
	stop := func() {}
	switch mode {
	case "accept":
		a = acceptAll{}
	case "verify":
		a = verifyAll{}
	case "hub", "hubmem":
		h, st, err := openHub(mode, dir, devices)
		if err != nil {
			return nil, err
		}
		a = h
		stop = func() { _ = h.Close(); st() }
	default:
		return nil, fmt.Errorf("serve: unknown mode %q", mode)
	}
	srv, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	go srv.Serve(l)
	return func() { _ = srv.Close(); stop() }, nil
}

func openHub(mode, dir string, devices int) (*hub.Hub, func(), error) {
	var st store.Engine = mem.New()
	stop := func() {}
	if mode == "hub" {
		path := filepath.Join(dir, "bench.db")
		_ = os.Remove(path)
		b, err := bolt.Open(path, bolt.Options{})
		if err != nil {
			return nil, nil, err
		}
		st = b
		stop = func() { fmt.Printf("store %+v\n", b.Stats()); _ = b.Close() }
	}
	limits := hub.NoLimits()
	h, err := hub.Open(context.Background(), hub.Config{Store: st, Limits: &limits})
	if err != nil {
		return nil, nil, err
	}
	if _, err := h.CreateProduct(context.Background(), hub.Product{Key: load.Product}); err != nil {
		return nil, nil, err
	}
	work := make(chan int)
	errs := make(chan error, 64)
	for range 64 {
		go func() {
			var failed error
			for n := range work {
				_, err := h.RegisterDevice(context.Background(), hub.Device{ID: load.Device(n), Secret: auth.NewSecret(load.Secret)})
				if err != nil {
					failed = err
				}
			}
			errs <- failed
		}()
	}
	for n := range devices {
		work <- n
	}
	close(work)
	for range 64 {
		if err := <-errs; err != nil {
			return nil, nil, err
		}
	}
	return h, stop, nil
}

// acceptAll is the front door alone.
type acceptAll struct{}

func (acceptAll) Connect(context.Context, *hal.ConnectRequest) (hal.Accepted, error) {
	return hal.Accepted{Session: acceptAll{}}, nil
}

func (acceptAll) Receive(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
	messages.Add(1)
	done(nil, nil)
}
func (acceptAll) Authorize(topic.Operation, string) error { return nil }
func (acceptAll) Close(hal.Cause)                         {}

// verifyAll is the front door with the check of the CONNECT triple.
type verifyAll struct{ acceptAll }

var secret = auth.NewSecret(load.Secret)

func (v verifyAll) Connect(_ context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	id, err := auth.ParseUserName(r.UserName)
	if err != nil {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials, Err: err}
	}
	c, err := auth.ParseClientID(r.ClientID)
	if err != nil {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadClientID, Err: err}
	}
	password, _ := r.Credential.(auth.Password)
	if err := c.Verify(password, id, secret); err != nil {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials, Err: err}
	}
	return hal.Accepted{Session: v.acceptAll}, nil
}

// counter counts messages at the broker's hook.
type counter struct{ mochi.HookBase }

func (counter) ID() string { return "counter" }

func (counter) Provides(b byte) bool { return b == mochi.OnPublish }

func startMochi(addr string) (func(), error) {
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	s.Options.Capabilities.MaximumClientWritesPending = 1024 * 8
	if err := s.AddHook(new(mochiauth.AllowHook), nil); err != nil {
		return nil, err
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "t", Address: addr})); err != nil {
		return nil, err
	}
	if err := s.Serve(); err != nil {
		return nil, err
	}
	return func() { fmt.Println("received", atomic.LoadInt64(&s.Info.MessagesReceived)); _ = s.Close() }, nil
}
