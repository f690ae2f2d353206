// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/openalink/iot/auth"
)

// Consumer says how the devices' messages are taken from the broker. URL must be
// set; zero values mean the defaults given with each field.
type Consumer struct {
	// URL is the broker: "mqtt://host:1883", "mqtts://host:8883", "ws://..." or
	// "wss://...".
	URL string
	TLS *tls.Config // of mqtts and wss
	// UserName and Password are one of Config.Services, or an account the broker
	// knows without asking.
	UserName string
	Password auth.Secret
	// ClientID is "openalink" by default. The session at the broker is kept under it
	// while the platform is away, so it must stay the same and be this process's own.
	ClientID string
	// Group makes the subscriptions shared ones ($share/group/...): each message goes
	// to one member. A member drops messages of devices that logged in elsewhere, so
	// one hub is one member at a time; while another takes its place, neither hears
	// anything twice. Leave it empty with RabbitMQ, which has none.
	Group string
	// Filters are what is subscribed to. By default everything under /sys, /ota,
	// /shadow and /ext, and the custom topics /{pk}/{dn}/user/. They must not
	// overlap.
	Filters []string
	// Subscribed, when not nil, is called each time messages begin to come.
	Subscribed func()
}

// defaultFilters are the families of topics devices publish to.
var defaultFilters = []string{"/sys/#", "/ota/#", "/shadow/#", "/ext/#", "/+/+/user/#"}

var (
	errBusy = errors.New("webhook: Consume runs already")
	errURL  = errors.New("webhook: Consumer.URL needs a scheme of mqtt, mqtts, tcp, tls, ws or wss")
)

func (cfg *Consumer) check() error {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return fmt.Errorf("webhook: Consumer.URL: %w", err)
	}
	switch u.Scheme {
	case "mqtt":
		u.Scheme = "tcp"
	case "mqtts":
		u.Scheme = "tls"
	case "tcp", "tls", "ws", "wss":
	default:
		return errURL
	}
	cfg.URL = u.String()
	orDefault(&cfg.ClientID, "openalink")
	if len(cfg.Filters) == 0 {
		cfg.Filters = defaultFilters
	}
	return nil
}

const (
	minBackoff = 200 * time.Millisecond
	maxBackoff = 15 * time.Second
)

// Consume connects to the broker, feeds the sessions with what devices publish,
// acknowledges to the broker what is durable, and publishes what devices are told.
// It reconnects until ctx ends, and returns its error then, or ErrServerClosed
// after Close. A mistake in cfg is returned at once. One Consume runs at a time.
func (s *Server) Consume(ctx context.Context, cfg Consumer) error {
	if err := cfg.check(); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.finish()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.base, cancel)()
	backoff := minBackoff
	for {
		up, err := s.consumeOnce(ctx, &cfg)
		switch {
		case s.base.Err() != nil:
			return ErrServerClosed
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if up > time.Minute {
			backoff = minBackoff
		}
		s.cfg.Logger.Warn("not connected to the broker", "url", cfg.URL, "retry", backoff, "err", err)
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// begin claims the one place for a consumer. Close waits for it.
func (s *Server) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrServerClosed
	case s.busy:
		return errBusy
	}
	s.busy = true
	s.running.Add(1)
	return nil
}

func (s *Server) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.running.Done()
}
