// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
)

// Config is what a Bridge is made of. Gateways and Identities are required; the
// zero value of everything else is a good choice.
type Config struct {
	// Gateways are the bridge's own identities at the platform. Identity may be a
	// Self; Transport is the platform's endpoint (hal/mqtt, or hal/mem for a hub in
	// the same process) and PreAuth the authentication endpoint. Devices are placed
	// by the gateways' identities, so that one more or less moves few; gateways whose
	// Identity is of another type than hal.Identity and Self count by their position.
	Gateways []device.GatewayConfig
	// Identities maps original identities to devices: a Map, or OpenIdentities.
	Identities Identities
	// Authenticator checks credentials before the platform is asked; nil checks none.
	Authenticator Authenticator
	// Sessions keeps the sessions; nil keeps them in memory.
	Sessions SessionStore
	// Downlink takes what the platform sends to sessions without one of their own;
	// nil answers with an error. See Forward.
	Downlink Downlink
	// TimedOut hears that a session's heartbeats are missing. It may end the session
	// with Offline or leave it: the next one missing calls again. Nil ends it.
	TimedOut func(ctx context.Context, s *Session)
	// Slot keeps the DeviceSecrets of devices whose mapping has none: they register
	// once. Nil needs secrets.
	Slot hal.Slot

	// Capacity is how many devices one gateway carries at once; zero is 1500, the
	// documented limit of the platform. At the platform a device stays bound to the
	// gateway that carried it last, until that one needs its place for another.
	Capacity int
	// MoveAfter is how long a gateway may be without connection before its devices
	// move to others; zero is 30 s. With one gateway they wait.
	MoveAfter time.Duration
	// Queue is how many messages of one device may wait; zero is 64.
	Queue int
	// RoomWait is how long PublishAsync waits for room in a full queue before it
	// drops; zero is 5 s, negative not at all.
	RoomWait time.Duration
	// Linger is how long what waits, and the login at the platform, outlive a session
	// whose connection ended; zero is 60 s, negative not at all. Without anything
	// waiting the device is logged out at once.
	Linger time.Duration
	// InFlight is how many messages of a gateway are under way at once; zero is 64.
	InFlight int
	// Exclusive refuses a second session of an identity while the first lives.
	Exclusive bool
	// Logger hears of drops and of ends of sessions; nil discards.
	Logger *slog.Logger
}

func (cfg *Config) check() error {
	if len(cfg.Gateways) == 0 {
		return errors.New("bridge: Config.Gateways is empty")
	}
	if cfg.Identities == nil {
		return errors.New("bridge: Config.Identities is nil")
	}
	if cfg.Sessions == nil {
		cfg.Sessions = new(Sessions)
	}
	orDefault(&cfg.Capacity, 1500)
	orDefault(&cfg.MoveAfter, 30*time.Second)
	orDefault(&cfg.Queue, 64)
	orDefault(&cfg.RoomWait, 5*time.Second)
	orDefault(&cfg.Linger, time.Minute)
	orDefault(&cfg.InFlight, 64)
	if cfg.Capacity < 0 || cfg.Queue < 0 || cfg.InFlight < 0 || cfg.MoveAfter < 0 {
		return errors.New("bridge: a bound of Config is negative")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orDefault[T ~int | ~int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Self is the identity of a bridge. It implements hal.Identities.
type Self struct {
	// ProductKey is that of the bridge's product, a gateway product.
	ProductKey string
	// DeviceName of the bridge; empty is the hardware address of the first network
	// interface that has one, twelve hexadecimal digits.
	DeviceName string
	// DeviceSecret of the bridge; without one Secret is asked.
	DeviceSecret auth.Secret
	// Secret fetches, or makes, the bridge's device with the AccessKey of an
	// application: the management API does both. Nil needs DeviceSecret.
	Secret func(ctx context.Context, id iot.DeviceID) (auth.Secret, error)
}

// Identity implements hal.Identities.
func (s Self) Identity(ctx context.Context) (hal.Identity, error) {
	id := hal.Identity{DeviceSecret: s.DeviceSecret}
	var err error
	if id.Device, err = s.device(); err != nil {
		return id, err
	}
	if id.DeviceSecret.IsZero() && s.Secret != nil {
		secret, err := s.Secret(ctx, id.Device)
		if err != nil {
			return id, fmt.Errorf("bridge: secret of %v: %w", id.Device, err)
		}
		id.DeviceSecret = secret
	}
	return id, nil
}

func (s Self) device() (iot.DeviceID, error) {
	id := iot.DeviceID{Product: s.ProductKey, Name: s.DeviceName}
	if id.Name != "" {
		return id, nil
	}
	var err error
	id.Name, err = hardwareName()
	return id, err
}

func hardwareName() (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("bridge: hardware address: %w", err)
	}
	for _, i := range all {
		if len(i.HardwareAddr) == 6 && i.Flags&net.FlagLoopback == 0 {
			return strings.ReplaceAll(i.HardwareAddr.String(), ":", ""), nil
		}
	}
	return "", errors.New("bridge: no network interface has a hardware address")
}
