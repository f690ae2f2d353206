// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hal/sniff"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/management"
)

// servers are the listeners of hubd.
type servers struct {
	door       *mqttd.Server
	coap       *coap.Server   // nil without -coap and -coaps
	channel    *http2.Handler // connections and uploads over HTTP/2
	forwarding *forwarding
	logger     *slog.Logger
	out        io.Writer
	failed     chan error // of listeners that end by themselves
	web        []*http.Server
	ports      []*sniff.Server // of -any and -https
	tls        *tls.Config     // made when first needed
}

// listen opens every address asked for.
func (s *servers) listen(f flags, h *hub.Hub) error {
	if f.mqtts != "" || f.wss != "" || f.https != "" || f.any != "" || f.coaps != "" {
		cfg, err := serverTLS(f, s.logger)
		if err != nil {
			return err
		}
		if err := clientCertificates(cfg, f.clientCA); err != nil {
			return err
		}
		s.tls = cfg
	}
	for _, l := range []struct {
		name, addr string
		open       func(net.Listener) error
	}{
		{"any", f.any, func(l net.Listener) error { return s.serveAny(l, f, h) }},
		{"mqtt", f.mqtt, s.serveMQTT},
		{"mqtts", f.mqtts, func(l net.Listener) error { return s.serveMQTT(tls.NewListener(l, s.tls)) }},
		{"ws", f.ws, func(l net.Listener) error { return s.serveHTTP(l, s.door.WebSocket()) }},
		{"wss", f.wss, func(l net.Listener) error { return s.serveHTTP(tls.NewListener(l, s.tls), s.door.WebSocket()) }},
		{"https", f.https, func(l net.Listener) error { return s.serveHTTPS(l, f, h) }},
		{"http", f.http, func(l net.Listener) error { return s.serveManagement(l, f, h) }},
	} {
		if l.addr == "" {
			continue
		}
		nl, err := net.Listen("tcp", l.addr)
		if err != nil {
			return fmt.Errorf("-%s: %w", l.name, err)
		}
		if err := l.open(nl); err != nil {
			return fmt.Errorf("-%s: %w", l.name, err)
		}
		fmt.Fprintln(s.out, "listening", l.name, nl.Addr())
	}
	return s.listenUDP(f, h)
}

// watch runs a listener and reports its end unless it was asked to.
func (s *servers) watch(serve func() error, expected error) {
	go func() {
		if err := serve(); err != nil && !errors.Is(err, expected) {
			s.failed <- err
		}
	}()
}

func (s *servers) serveMQTT(l net.Listener) error {
	s.watch(func() error { return s.door.Serve(l) }, mqttd.ErrServerClosed)
	return nil
}

// serveAny is the one port real SDKs use for everything. Management never
// answers there.
func (s *servers) serveAny(l net.Listener, f flags, h *hub.Hub) error {
	handler, err := s.deviceHandler(f, h, l.Addr())
	if err != nil {
		return err
	}
	return s.servePort(l, sniff.Config{MQTT: s.door, HTTP: handler, TLS: s.tls, Logger: s.logger})
}

// serveHTTPS is what devices ask over HTTP, secured. HTTP/2 may be asked for in
// the handshake or, as some SDKs do, just spoken.
func (s *servers) serveHTTPS(l net.Listener, f flags, h *hub.Hub) error {
	handler, err := s.deviceHandler(f, h, l.Addr())
	if err != nil {
		return err
	}
	secure := s.tls.Clone()
	secure.NextProtos = []string{"h2", "http/1.1", "http/1.0"} // curl -0 offers nothing but the last
	return s.servePort(l, sniff.Config{HTTP: handler, TLS: secure, Secure: true, Logger: s.logger})
}

func (s *servers) servePort(l net.Listener, cfg sniff.Config) error {
	port, err := sniff.New(cfg)
	if err != nil {
		return err
	}
	s.ports = append(s.ports, port)
	s.watch(func() error { return port.Serve(l) }, sniff.ErrServerClosed)
	return nil
}

func (s *servers) serveHTTP(l net.Listener, handler http.Handler) error {
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true) // consumers of groups speak it
	s.web = append(s.web, srv)
	s.watch(func() error { return srv.Serve(l) }, http.ErrServerClosed)
	return nil
}

// serveManagement serves the API. Without a key it makes one and shows it once.
func (s *servers) serveManagement(l net.Listener, f flags, h *hub.Hub) error {
	key := f.apiKey
	if key == "" {
		key = rand.Text()
		fmt.Fprintln(s.out, "api-key", key)
	}
	api, err := management.New(h, management.Config{Keys: []auth.Secret{auth.NewSecret(key)}, Rules: s.forwarding.set, Scenes: s.forwarding.scenes, Queues: s.forwarding.queues, Logger: s.logger})
	if err != nil {
		return err
	}
	web, err := webHandler(f, h, l.Addr(), s.logger)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", web)
	mux.Handle("/", api)
	return s.serveHTTP(l, withDownloads(h, mux))
}

// shutdown drains: no new connections, answers first, then the ends.
func (s *servers) shutdown(ctx context.Context) error {
	errs := []error{s.forwarding.queues.Close(), s.channel.Shutdown(ctx)} // they end requests that stay open
	for _, port := range s.ports {
		errs = append(errs, port.Shutdown(ctx))
	}
	if s.coap != nil {
		errs = append(errs, s.coap.Shutdown(ctx))
	}
	errs = append(errs, s.door.Shutdown(ctx))
	for _, srv := range s.web {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, err, srv.Close())
		}
	}
	return errors.Join(errs...)
}

func (s *servers) close() {
	for _, port := range s.ports {
		_ = port.Close()
	}
	if s.coap != nil {
		_ = s.coap.Close()
	}
	_ = s.door.Close()
	for _, srv := range s.web {
		_ = srv.Close()
	}
}
