// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/ota"
)

// Config is what a Client is made of. Identity and Transport are required; the
// zero value of everything else is a good choice.
type Config struct {
	// Identity tells who the device is. A hal.Identity is its own.
	Identity hal.Identities
	// Transport reaches the platform.
	Transport hal.Transport
	// Handlers answer the platform.
	Handlers Handlers

	// Slot keeps what the platform gave a device that registers itself: one without
	// a DeviceSecret in its Identity. It registers once and never again.
	Slot hal.Slot
	// Registrar registers such a device; nil does so over Transport, which must be
	// secured, with the ProductSecret of its Identity.
	Registrar Registrar
	// WithoutWhitelist registers over Transport although nobody made the device
	// beforehand (authType regnwl): it gets a token instead of a DeviceSecret.
	WithoutWhitelist bool
	// PreAuth exchanges the DeviceSecret for a user name and a token before each
	// login; nil logs in with a signature.
	PreAuth PreAuth

	// KeepAlive is the longest silence on the wire, 30 s to 20 min; zero is 60 s.
	KeepAlive time.Duration
	// CleanSession asks the platform to keep nothing for the device while it is
	// away. By default QoS 1 messages are kept.
	CleanSession bool
	// Sign is the signature method; zero is HMAC-SHA256.
	Sign auth.Method
	// SecureMode is told to the platform: auth.SecureTLS or auth.SecureTCP; zero is
	// auth.SecureTCP.
	SecureMode int
	// ExplicitSubscribe subscribes to each system topic instead of asking the
	// platform to do so (_ss=1), for platforms that do not know that.
	ExplicitSubscribe bool

	// MinBackoff and MaxBackoff bound the pause before a reconnect; zero is 1 s and
	// 60 s. The pause grows with jitter, also after connections that were accepted
	// and soon lost, so that five logins a minute suffice.
	MinBackoff, MaxBackoff time.Duration
	// ReportQueue is how many reports may wait for the connection; zero is 1000.
	// Report and ReportEvent fail with ErrQueueFull beyond.
	ReportQueue int
	// MaxDesiredAge is how old a wish in the shadow may be; older ones are cleared
	// without being followed. Zero follows all.
	MaxDesiredAge time.Duration
	// Firmware keeps the device's firmware up to date; nil leaves that to
	// Handlers.Upgrade.
	Firmware *Firmware
	// RemoteConfig applies the configuration the platform keeps for the device; nil
	// answers pushes with an error.
	RemoteConfig *RemoteConfig
	// Links opens links to firmware and configurations: ota.HTTP{} does, with net/http.
	// nil opens none: files come over the device's own connection then, if the platform
	// sends them so, and the program is half a megabyte smaller.
	Links ota.Source
	// Clock tells the time reports and events carry; nil is the operating system's.
	Clock hal.Clock
	// Random is where jitter comes from; nil is the operating system's.
	Random io.Reader
	// Logger hears of reconnects and of what no caller can be told; nil discards.
	Logger *slog.Logger
}

// The errors of this package. Refusals of the platform are *hal.RefusedError
// when connecting and *alink.CodeError when answering a call.
var (
	// ErrClosed means the Client was closed.
	ErrClosed = errors.New("device: closed")
	// ErrOffline means there is no connection now.
	ErrOffline = errors.New("device: offline")
	// ErrQueueFull means that Config.ReportQueue reports wait already.
	ErrQueueFull = errors.New("device: report queue is full")
	// ErrNoLinks means something behind a link while Config.Links is nil. It wraps
	// errors.ErrUnsupported.
	ErrNoLinks = fmt.Errorf("device: no way to follow a link: Config.Links is nil: %w", errors.ErrUnsupported)
	// ErrRefusedTopic means the platform did not grant a subscription.
	ErrRefusedTopic = errors.New("device: platform refused the subscription")
)

const (
	defaultKeepAlive   = 60 * time.Second
	defaultMinBackoff  = time.Second
	defaultMaxBackoff  = time.Minute
	defaultReportQueue = 1000
	// callTimeout bounds calls whose context has no deadline.
	callTimeout = 10 * time.Second
	// requestQueue is how many requests of the platform may wait for the handlers;
	// further ones are dropped and logged.
	requestQueue = 256
)

func (cfg *Config) check() error {
	if cfg.Identity == nil {
		return errors.New("device: Config.Identity is nil")
	}
	if cfg.Transport == nil {
		return errors.New("device: Config.Transport is nil")
	}
	orDefault(&cfg.KeepAlive, defaultKeepAlive)
	if cfg.KeepAlive < 30*time.Second || cfg.KeepAlive > 20*time.Minute {
		return fmt.Errorf("device: keep-alive %v outside 30s to 20m", cfg.KeepAlive)
	}
	orDefault(&cfg.MinBackoff, defaultMinBackoff)
	orDefault(&cfg.MaxBackoff, defaultMaxBackoff)
	if cfg.MinBackoff > cfg.MaxBackoff {
		return fmt.Errorf("device: least backoff %v is above the greatest, %v", cfg.MinBackoff, cfg.MaxBackoff)
	}
	orDefault(&cfg.ReportQueue, defaultReportQueue)
	orDefault(&cfg.SecureMode, auth.SecureTCP)
	if f := cfg.Firmware; f != nil && (!ota.ValidVersion(f.Version) || f.State == nil || f.Slot == nil || f.Reboot == nil) {
		return errors.New("device: Config.Firmware needs Version, State, Slot and Reboot")
	}
	if cfg.Clock == nil {
		cfg.Clock = systemClock{}
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// systemClock is the operating system's.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func orDefault[T ~int | ~int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
