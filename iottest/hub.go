// SPDX-License-Identifier: Apache-2.0

package iottest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	storemem "github.com/openalink/iot/store/mem"
)

// ProductKey is the product every hub of this package has. Devices made by
// NewDevice belong to it.
const ProductKey = "a1iottest00"

// Hub is a hub under test. It ends with the test.
type Hub struct {
	*hub.Hub
	// Network carries MQTT in memory: dial Addr on it.
	Network *mem.Network
	// Addr is where MQTT is served: a name on Network, or host:port with WithTCP.
	Addr string
	// Store is what the hub keeps its state in.
	Store store.Engine
	// Log records the hub's log entries.
	Log *Recorder[hub.LogEntry]

	t       testing.TB
	devices atomic.Int64
}

// Option changes how NewHub makes a hub.
type Option func(*options)

type options struct {
	limits hub.Limits
	store  store.Engine
	tcp    bool
	logger *slog.Logger
	ota    *hub.OTA
	files  hub.Files
}

// WithLimits sets the limits. Without it a test hub has none.
func WithLimits(l hub.Limits) Option { return func(o *options) { o.limits = l } }

// WithStore opens the hub on a store of the test's, to see a hub come back.
func WithStore(st store.Engine) Option { return func(o *options) { o.store = st } }

// WithTCP serves MQTT on a free port of the loopback interface.
func WithTCP() Option { return func(o *options) { o.tcp = true } }

// WithLogger sets the hub's logger.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.logger = l } }

// WithOTA has the hub keep firmware.
func WithOTA(o *hub.OTA) Option { return func(opts *options) { opts.ota = o } }

// WithFiles has the hub take uploads of devices.
func WithFiles(f hub.Files) Option { return func(o *options) { o.files = f } }

// NewHub opens a hub with one product and serves MQTT in memory or, with WithTCP,
// on a port. Everything is closed when the test ends.
func NewHub(t testing.TB, opts ...Option) *Hub {
	t.Helper()
	o := options{limits: hub.NoLimits()}
	for _, opt := range opts {
		opt(&o)
	}
	if o.store == nil {
		o.store = storemem.New()
	}
	h := &Hub{Network: new(mem.Network), Addr: "hub", Store: o.store, Log: new(Recorder[hub.LogEntry]), t: t}
	var err error
	h.Hub, err = hub.Open(t.Context(), hub.Config{Store: o.store, Limits: &o.limits, Logger: o.logger, LogSink: sink{h.Log}, OTA: o.ota, Files: o.files})
	if err != nil {
		t.Fatalf("iottest: %v", err)
	}
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: ProductKey}); err != nil {
		t.Fatalf("iottest: %v", err)
	}
	h.serve(o.tcp)
	return h
}

func (h *Hub) serve(tcp bool) {
	h.t.Helper()
	l, err := h.Network.Listen(h.Addr)
	if tcp {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		h.t.Fatalf("iottest: %v", err)
	}
	h.Addr = l.Addr().String()
	door, err := mqttd.New(mqttd.Config{Access: h.Hub})
	if err != nil {
		h.t.Fatalf("iottest: %v", err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = door.Serve(l) })
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := door.Shutdown(ctx); err != nil {
			h.t.Errorf("iottest: front door: %v", err)
		}
		serving.Wait()
		if err := h.Shutdown(ctx); err != nil {
			h.t.Errorf("iottest: hub: %v", err)
		}
	})
}

// Register makes a device with a name of its own.
func (h *Hub) Register() hub.Device {
	h.t.Helper()
	name := fmt.Sprintf("device-%d", h.devices.Add(1))
	d, err := h.RegisterDevice(h.t.Context(), hub.Device{ID: iot.DeviceID{Product: ProductKey, Name: name}})
	if err != nil {
		h.t.Fatalf("iottest: %v", err)
	}
	return d
}

// Values returns the latest values of a device as JSON text.
func (h *Hub) Values(id iot.DeviceID) map[string]string {
	h.t.Helper()
	all, err := h.Properties(h.t.Context(), id)
	if err != nil {
		h.t.Fatalf("iottest: %v", err)
	}
	out := make(map[string]string, len(all))
	for k, v := range all {
		out[k] = string(v.Value)
	}
	return out
}

type sink struct{ r *Recorder[hub.LogEntry] }

func (s sink) Log(e hub.LogEntry) { s.r.Add(e) }
