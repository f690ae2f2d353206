// SPDX-License-Identifier: Apache-2.0

// Command hubd is a ready IoT platform for people who do not write Go: devices
// connect over MQTT, applications over HTTP, and everything is kept in one file.
//
//	hubd -data /var/lib/hubd -provision fleet.json -any 0.0.0.0:443 -http 127.0.0.1:8080 -api-key KEY
//
// An address may end in :0 for any free port. hubd prints "listening NAME ADDR"
// for each listener, then "ready". SIGTERM and SIGINT drain and stop it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

type flags struct {
	data, provision               string
	any, mqtt, mqtts, ws, wss     string
	https, coap, coaps            string
	http, apiKey, tlsCert, tlsKey string
	limits, log, downloads        string
	sealKey, clientCA, mqttHost   string
}

func main() {
	f, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, f, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hubd:", err)
		os.Exit(1)
	}
}

func parse(args []string, usage io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("hubd", flag.ContinueOnError)
	set.SetOutput(usage)
	set.StringVar(&f.data, "data", "", "folder for everything hubd keeps (required)")
	set.StringVar(&f.provision, "provision", "", "file with products and devices to import")
	set.StringVar(&f.any, "any", "", "address for devices of every kind: MQTT, WebSocket, HTTP/2, posts and registration over HTTP, and all of them over TLS, on one port")
	set.StringVar(&f.mqtt, "mqtt", "", "address for MQTT over TCP")
	set.StringVar(&f.mqtts, "mqtts", "", "address for MQTT over TLS")
	set.StringVar(&f.ws, "ws", "", "address for MQTT over WebSocket")
	set.StringVar(&f.wss, "wss", "", "address for MQTT over secure WebSocket")
	set.StringVar(&f.https, "https", "", "address for devices that post over HTTPS or connect and upload over HTTP/2, and for registration, pre-authentication and downloads")
	set.StringVar(&f.coap, "coap", "", "address for devices that post over CoAP, encrypted without DTLS; devices expect ports 5682 and 5683, commas separate several")
	set.StringVar(&f.coaps, "coaps", "", "address for devices that post over CoAP with DTLS; devices expect port 5684")
	set.StringVar(&f.http, "http", "", "address for the management API and for registration")
	set.StringVar(&f.tlsCert, "tls-cert", "", "PEM file with the TLS certificate; without one hubd makes its own")
	set.StringVar(&f.tlsKey, "tls-key", "", "PEM file with its key")
	set.StringVar(&f.apiKey, "api-key", "", "key that opens the management API; without one hubd makes its own")
	set.StringVar(&f.limits, "limits", "default", "default, 2018, none, or a JSON file with fields of hub.Limits to change")
	set.StringVar(&f.downloads, "downloads", "", "how devices reach this server for firmware and configurations, such as https://iot.example.com; served at /ota/ of -any, -https and -http. Give no port: old devices do not understand one. Without it files go over MQTT")
	set.StringVar(&f.sealKey, "seal-key", "", "file with 64 hex digits a line: the first key seals every secret in the store, the others open older ones")
	set.StringVar(&f.clientCA, "client-ca", "", "PEM file with the authorities of device certificates")
	set.StringVar(&f.mqttHost, "mqtt-host", "", "host:port that pre-authentication and bootstrap send devices to; without one the host they asked, and the port of -any")
	set.StringVar(&f.log, "log", "info", "debug, info, warn or error")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if f.data == "" || set.NArg() > 0 {
		fmt.Fprintln(usage, "hubd: -data is required, and nothing but flags is taken")
		set.Usage()
		return f, flag.ErrHelp
	}
	return f, nil
}

// newLogger logs JSON lines to standard error through zap.
func newLogger(level string) (*slog.Logger, func(), error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, nil, err
	}
	cfg := zap.NewProductionConfig()
	cfg.Level = zap.NewAtomicLevelAt(l)
	z, err := cfg.Build()
	if err != nil {
		return nil, nil, err
	}
	return slog.New(zapslog.NewHandler(z.Core())), func() { _ = z.Sync() }, nil
}
