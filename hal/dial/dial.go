// SPDX-License-Identifier: Apache-2.0

// Package dial makes a device's transport of a URL, so that the same program
// reaches a platform over anything: another URL is all. It imports every adapter;
// firmware that must be small imports the one it needs.
package dial

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hal/mqtt"
)

// ErrScheme is wrapped by the error about a URL that no adapter serves.
var ErrScheme = errors.New("dial: unknown scheme")

// New returns the transport to a platform:
//
//	mqtt, tcp    MQTT over TCP
//	mqtts, tls   MQTT over TLS
//	ws, wss      MQTT over WebSocket
//	h2, h2c      HTTP/2, over TLS and without, see package http2
//	https, http  single requests, see package https for what they cannot do
//	coaps, coap  single requests over UDP, with DTLS and with AES, see package coap
//
// cfg verifies the server where there is TLS; nil does against the system's roots,
// and over coaps by a key made of the DeviceSecret. Nothing is connected yet.
func New(rawURL string, cfg *tls.Config) (hal.Transport, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("dial: %q names no host", u.Redacted())
	}
	switch u.Scheme {
	case "mqtt", "tcp", "mqtts", "tls", "ws", "wss":
		return &mqtt.Transport{URL: rawURL, TLS: cfg}, nil
	case "h2", "h2c":
		return &http2.Transport{URL: rawURL, TLS: cfg}, nil
	case "https", "http":
		return &https.Transport{URL: rawURL, TLS: cfg}, nil
	case "coaps", "coap":
		return &coap.Transport{URL: rawURL, TLS: cfg}, nil
	}
	return nil, fmt.Errorf("%w %q", ErrScheme, u.Scheme)
}
