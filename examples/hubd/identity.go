// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hal/webauth"
	"github.com/openalink/iot/hub"
)

// readSealer reads -seal-key; nil for no file. The last line is version 1, so
// that a new key goes on top.
func readSealer(path string) (hub.Sealer, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // hub.Config takes nil for plain text
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys []auth.SealKey
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var k auth.SealKey
		if n, err := hex.Decode(k.Key[:], line[:min(len(line), 2*len(k.Key))]); err != nil || n != len(k.Key) || len(line) != 2*n {
			return nil, fmt.Errorf("%s: a line is not 64 hex digits", path)
		}
		keys = append(keys, k)
	}
	for i := range keys {
		keys[i].Version = len(keys) - i
	}
	s, err := auth.NewSealer(keys...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// clientCertificates has TLS listeners ask devices for certificates, which those
// that have none may leave out.
func clientCertificates(cfg *tls.Config, path string) error {
	if path == "" {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(raw) {
		return fmt.Errorf("%s: no certificate", path)
	}
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	return nil
}

// deviceHandler is all that devices ask over HTTP.
func (s *servers) deviceHandler(f flags, h *hub.Hub, own net.Addr) (http.Handler, error) {
	before, err := webHandler(f, h, own, s.logger)
	if err != nil {
		return nil, err
	}
	posts, err := https.NewHandler(https.Config{Platform: h, Logger: s.logger})
	if err != nil {
		return nil, err
	}
	return withDownloads(h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case https.Serves(r.URL.Path):
			posts.ServeHTTP(w, r)
		case http2.Serves(r.URL.Path):
			s.channel.ServeHTTP(w, r)
		default:
			before.ServeHTTP(w, r)
		}
	})), nil
}

// webHandler is what devices ask over HTTP before they connect.
func webHandler(f flags, h *hub.Hub, own net.Addr, logger *slog.Logger) (http.Handler, error) {
	cfg := webauth.Config{Platform: h, Logger: logger}
	_, port, _ := net.SplitHostPort(own.String())
	for _, addr := range []string{f.mqtt, f.any} {
		if _, p, err := net.SplitHostPort(addr); err == nil && p != "0" {
			port = p
		}
	}
	if f.mqttHost != "" {
		var err error
		if cfg.Host, port, err = net.SplitHostPort(f.mqttHost); err != nil {
			return nil, fmt.Errorf("-mqtt-host: %w", err)
		}
	}
	cfg.Port, _ = strconv.Atoi(port)
	return webauth.New(cfg)
}
