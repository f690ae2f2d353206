// SPDX-License-Identifier: Apache-2.0

// Command device is a device on package device, for the interop tests: orders
// come in as JSON lines, what it sees goes out as JSON lines.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
)

type config struct {
	ProductKey, DeviceName, DeviceSecret string
	URL, CA                              string
}

type order struct {
	Do, Name, Value, Topic, Payload string
	Params                          json.RawMessage
}

type fields map[string]any

var output sync.Mutex

func tell(event string, more fields) {
	line := fields{"event": event}
	for k, v := range more {
		line[k] = v
	}
	output.Lock()
	defer output.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var cfg config
	if err := json.Unmarshal([]byte(os.Args[1]), &cfg); err != nil {
		return err
	}
	c, err := open(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Connect(ctx); err != nil {
		if r, ok := errors.AsType[*hal.RefusedError](err); ok {
			tell("refused", fields{"text": r.Error()})
			return nil
		}
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return err
		}
		obey(ctx, c, o)
	}
	return nil
}

func open(cfg config) (*device.Client, error) {
	transport, secure := mqtt.New(cfg.URL), auth.SecureTCP
	if strings.HasPrefix(cfg.URL, "tls") || strings.HasPrefix(cfg.URL, "wss") {
		pem, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLS, secure = &tls.Config{RootCAs: roots}, auth.SecureTLS
	}
	return device.New(device.Config{
		Identity: hal.Identity{
			Device:       iot.DeviceID{Product: cfg.ProductKey, Name: cfg.DeviceName},
			DeviceSecret: auth.NewSecret(cfg.DeviceSecret),
		},
		Transport: transport, SecureMode: secure, Handlers: handlers(),
	})
}

type operands struct{ A, B int }

func handlers() device.Handlers {
	add := func(name string) device.ServiceFunc {
		return device.Service(func(_ context.Context, in operands) (fields, error) {
			tell("service", fields{"name": name, "body": fields{"params": fields{"a": in.A, "b": in.B}}})
			return fields{"sum": in.A + in.B}, nil
		})
	}
	return device.Handlers{
		Connected:    func(context.Context) { tell("online", nil) },
		Disconnected: func(context.Context) { tell("offline", nil) },
		SetProperties: func(_ context.Context, values map[string]json.RawMessage) error {
			tell("set", fields{"body": fields{"params": values}})
			return nil
		},
		Services: map[string]device.ServiceFunc{"add": add("add"), "addNow": add("addNow")},
		RRPC: func(_ context.Context, topic string, payload []byte) ([]byte, error) {
			tell("rrpc", fields{"topic": topic, "payload": string(payload)})
			return append([]byte("echo "), payload...), nil
		},
		Message: func(_ context.Context, topic string, payload []byte) {
			tell("message", fields{"topic": topic, "payload": string(payload)})
		},
	}
}

// obey does what an order says and tells how it went.
func obey(ctx context.Context, c *device.Client, o order) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	switch o.Do {
	case "post":
		answer(o, c.PostProperties(ctx, o.Params))
	case "event":
		answer(o, c.PostEvent(ctx, o.Name, o.Params))
	case "tag":
		answer(o, c.UpdateTags(ctx, map[string]string{o.Name: o.Value}))
	case "untag":
		answer(o, c.DeleteTags(ctx, o.Name))
	case "publish":
		err := c.Publish(ctx, suffix(c, o.Topic), []byte(o.Payload), iot.AtLeastOnce)
		tell("published", fields{"topic": o.Topic, "text": text(err)})
	case "subscribe":
		code := 1
		if c.Subscribe(ctx, o.Topic, iot.AtLeastOnce) != nil {
			code = 128
		}
		tell("subscribed", fields{"topic": o.Topic, "code": code})
	case "end":
		_ = c.Close()
		tell("ended", nil)
	}
}

// suffix is what follows /{pk}/{dn}/ in a custom topic.
func suffix(c *device.Client, topic string) string {
	return strings.TrimPrefix(topic, "/"+c.Device().String()+"/")
}

// answer tells the platform's answer to a request.
func answer(o order, err error) {
	body := fields{"code": alink.CodeOK, "message": "success"}
	if e, ok := errors.AsType[*alink.CodeError](err); ok {
		body = fields{"code": e.Code, "message": e.Message}
	} else if err != nil {
		body = fields{"code": 0, "message": err.Error()}
	}
	tell("answer", fields{"do": o.Do, "body": body})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
