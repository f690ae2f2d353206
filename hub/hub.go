// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/shadow"
	"github.com/openalink/iot/store"
)

// maxCalls is how many calls of all devices may wait for answers at once.
const maxCalls = 100_000

// Config is what a hub is opened with.
type Config struct {
	// Store keeps everything that must last. It belongs to the caller, who closes
	// it after the hub. Required.
	Store store.Engine
	// Limits are the bounds the hub keeps; nil means DefaultLimits.
	Limits *Limits
	// Secrets, when set, is asked for DeviceSecrets instead of the hub's registry.
	// It may be slow: answers are cached, few calls run at once, and a login whose
	// secret cannot be had is refused as unavailable. The devices must be
	// registered all the same.
	Secrets auth.SecretSource
	// Sealer, when set, seals every secret before it is stored. What was stored
	// without is read all the same, and sealed when it changes.
	Sealer Sealer
	// HideUnknown answers requests that prove an identity over HTTPS with 401 both
	// for an unknown device and for a wrong signature.
	HideUnknown bool
	// PlainRegistration allows devices to register over connections without TLS,
	// which shows their secrets to whoever listens: for tests, or behind something
	// that ends TLS.
	PlainRegistration bool
	// ID2 checks logins with authtype id2; nil refuses them.
	ID2 ID2Verifier
	// LogSink takes the log entries instead of the store.
	LogSink LogSink
	// RenumberShadows takes shadow updates of devices with a version that is not
	// above the stored one, instead of answering 409, for firmware that counts from
	// 1 at every boot (wire facts section 1 row 25).
	RenumberShadows bool
	// OTA is where firmware is kept and how devices reach it; nil keeps no firmware.
	OTA *OTA
	// Scripts makes codecs of the scripts of products; nil refuses scripts. Package
	// contrib/quickjs has one for JavaScript.
	Scripts ScriptEngine
	// Codecs is asked for the codec of a product before its script is; nil, or a nil
	// codec, for none.
	Codecs func(productKey string) alink.RawCodec
	// Files take what devices upload over MQTT; nil refuses uploads.
	Files Files
	// History is where Hub.History reads; nil reads what the hub itself keeps.
	History HistorySource
	// Logger hears what the hub cannot tell a caller; nil discards it.
	Logger *slog.Logger
	// Workers is how many goroutines handle messages; zero means one a processor.
	Workers int
}

// Hub is an IoT platform. It implements hal.Access: listeners such as
// hal/mqttd bring devices to it, applications call its methods. It is safe for
// concurrent use.
type Hub struct {
	store   store.Engine
	limits  Limits
	secrets auth.SecretSource
	sealer  Sealer
	id2     ID2Verifier
	guard   loginGuard
	tokens  tokens

	applications applications

	hideUnknown, plainRegistration bool

	logger  *slog.Logger
	sink    LogSink
	ownSink bool // sink is the embedder's
	history HistorySource
	scripts ScriptEngine
	codecs  func(string) alink.RawCodec
	// translating are messages of raw products on their way in, encoding those on
	// their way out.
	translating, encoding sync.WaitGroup
	traces                traces
	news                  news

	shadowNews news // of changed shadows and deleted devices
	otaNews    news // of updates and configurations
	ids        ids
	callIDs    callIDs
	calls      *alink.Calls
	mux        *alink.Mux
	decoy      auth.Secret // verified against for unknown devices
	// decoyRecord is read for unknown devices.
	decoyRecord []byte
	shadows     shadow.Rules
	ota         *updates
	files       Files
	devices     *registry
	shards      []*shard
	pins        pins
	batches     sync.Pool

	products struct {
		mu      sync.RWMutex
		byKey   map[string]*product
		devices int // of all products
	}

	rates                                    rates
	connects, uplinks, downlinks, broadcasts meter
	connected                                atomic.Int64

	draining atomic.Bool
	recent   recent          // devices that speak by requests
	entering sync.RWMutex    // held for reading while a request enters a queue
	ctx      context.Context // ends with the hub
	cancel   context.CancelFunc
	closing  chan struct{} // closed when Close begins
	stop     chan struct{} // tells the workers to stop
	stopped  chan struct{} // closed when they have
	workers  sync.WaitGroup
	timers   timers
	closeErr error
	once     sync.Once
}

// rates are the limits of one device or connection, ready to be applied.
type rates struct{ up0, up1, in, down, logins, shadow rate }

func (r *rates) uplinkLimited() bool {
	return !r.up0.unlimited() || !r.up1.unlimited() || !r.in.unlimited()
}

// Open starts a hub on what the store holds. Devices that were online when an
// earlier hub ended without saying so are offline from now on, with cause
// hal.CauseServerStop. The context bounds the start only. Close must follow.
func Open(ctx context.Context, cfg Config) (*Hub, error) {
	if cfg.Store == nil {
		return nil, fmt.Errorf("%w: Config.Store is nil", ErrInvalid)
	}
	h := newHub(cfg)
	if err := errors.Join(h.handlers(), h.loadIDs(ctx), h.loadTokenKeys(ctx), h.loadApplications(ctx), h.loadProducts(ctx), h.settlePresence(ctx), h.loadUpdates(ctx, cfg.OTA)); err != nil {
		h.cancel()
		return nil, err
	}
	for _, sh := range h.shards {
		h.workers.Go(func() { sh.run(h.stop) })
	}
	h.ota.begin(h.ota.run)
	return h, nil
}

func newHub(cfg Config) *Hub {
	h := &Hub{
		sealer: cfg.Sealer, id2: cfg.ID2, hideUnknown: cfg.HideUnknown, plainRegistration: cfg.PlainRegistration,
		store: cfg.Store, logger: cfg.Logger, sink: cfg.LogSink, ownSink: cfg.LogSink != nil, history: cfg.History,
		scripts: cfg.Scripts, codecs: cfg.Codecs,
		calls: alink.NewCalls(maxCalls), mux: alink.NewMux(), devices: newRegistry(),
		closing: make(chan struct{}), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	limits := DefaultLimits()
	if cfg.Limits != nil {
		limits = *cfg.Limits
	}
	h.limits = limits.withDefaults()
	h.shadows = shadow.Rules{
		MaxBytes: h.limits.ShadowBytes, MaxDepth: h.limits.ShadowDepth, MaxMembers: h.limits.ShadowMembers,
		RenumberStale: cfg.RenumberShadows,
	}
	h.setRates()
	h.guard.init(&h.limits)
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	if h.sink == nil {
		h.sink = newStoreSink(cfg.Store)
	}
	if cfg.Secrets != nil {
		h.secrets = auth.NewCachedSecrets(cfg.Secrets, auth.CacheOptions{})
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.decoy = auth.NewSecret(h.randomHex(16))
	h.decoyRecord = encodeJSON(deviceRecord{
		IotID: h.randomText(iotIDLength), Secret: h.seal(h.decoy, "/"), SecretVersion: 1, Created: time.Now(), Activated: time.Now(),
	})
	h.files = cfg.Files
	h.callIDs.n.Store(rand.Uint32())
	h.products.byKey = make(map[string]*product)
	workers := cfg.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for range workers {
		h.shards = append(h.shards, newShard(h))
	}
	return h
}

func (h *Hub) setRates() {
	l := &h.limits
	h.rates = rates{
		up0: perSecond(l.UplinkQoS0), up1: perSecond(l.UplinkQoS1), in: perSecond(l.ConnectionBytes),
		down: perSecond(l.Downlink), logins: newRate(l.ConnectsPerMinute, time.Minute), shadow: perSecond(l.ShadowRequests),
	}
	h.connects.rate = perSecond(l.Connects)
	h.uplinks.rate = perSecond(l.Uplinks)
	h.downlinks.rate = perSecond(l.Downlinks)
	h.broadcasts.rate = perSecond(l.Broadcasts)
}

// Mux serves the Alink requests of devices below /sys/{pk}/{dn}. The hub's own
// methods are on it; an embedder adds others ("app/#", "account/bind") and
// middleware. Handlers run on the worker of the device, in the order of its
// messages: they must not wait, neither for devices nor for changes of them.
func (h *Hub) Mux() *alink.Mux { return h.mux }

// Limits returns the limits the hub keeps.
func (h *Hub) Limits() Limits { return h.limits }

// Connected returns how many devices are online.
func (h *Hub) Connected() int { return int(h.connected.Load()) }

// Online reports whether a device is connected now. It is false for unknown ones.
func (h *Hub) Online(id iot.DeviceID) bool {
	d := h.peek(id)
	if d == nil {
		return false
	}
	defer h.release(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sess != nil
}
