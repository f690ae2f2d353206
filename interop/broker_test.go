// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/webhook"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

const brokerSecret = "between-broker-and-platform"

var brokerServices = map[string]auth.Secret{"platform": auth.NewSecret("platform-password")}

// platform is a hub in this process behind a broker of others.
type platform struct {
	*iottest.Hub
	hook      *webhook.Server
	questions *httptest.Server
	broker    string // host:port of MQTT
	up        chan struct{}
	ctl       func(ctx context.Context, args ...string) (string, error) // what an operator types
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{Hub: iottest.NewHub(t), up: make(chan struct{}, 16)}
	p.open(t, nil)
	return p
}

// open makes the webhook, at an address the broker keeps.
func (p *platform) open(t *testing.T, st webhook.Store) {
	t.Helper()
	hook, err := webhook.New(webhook.Config{
		Access: p.Hub, Secret: auth.NewSecret(brokerSecret), Services: brokerServices, Timeout: 20 * time.Second, Store: st,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Stranger: func(ctx context.Context, id iot.DeviceID) error {
			return p.disconnect(ctx, id)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.hook = hook
	t.Cleanup(func() { _ = hook.Close() })
	if p.questions == nil {
		p.questions = httptest.NewServer(hook)
		t.Cleanup(p.questions.Close)
		return
	}
	p.questions.Config.Handler = hook
}

// consume takes the devices' messages from the broker until the test ends.
func (p *platform) consume(t *testing.T, cfg webhook.Consumer) {
	t.Helper()
	cfg.URL, cfg.UserName, cfg.Password = "mqtt://"+p.broker, "platform", brokerServices["platform"]
	cfg.Subscribed = func() { p.up <- struct{}{} }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.hook.Consume(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, webhook.ErrServerClosed) {
			t.Errorf("Consume: %v", err)
		}
	})
	p.subscribed(t)
}

func (p *platform) subscribed(t *testing.T) {
	t.Helper()
	select {
	case <-p.up:
	case <-time.After(30 * time.Second):
		t.Fatal("the consumer is not subscribed within 30 s")
	}
}

// freePort is a port of the loopback address nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (p *platform) register(t *testing.T, name string) device {
	t.Helper()
	d, err := p.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: iottest.ProductKey, Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return device{d.ID, d.Secret}
}

func signed(d device, secret auth.Secret) hal.Login {
	tr := auth.SignMQTT(d.id, secret, auth.MQTTOptions{ClientID: "raw." + d.id.Name, Method: auth.HMACSHA256})
	return hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: time.Minute, CleanSession: true}
}

func (p *platform) dial(t *testing.T, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	t.Helper()
	c, err := mqtt.New("tcp://"+p.broker).Connect(t.Context(), l, recv)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func propertyPost(d device, params string) iot.Message {
	return iot.Message{Topic: d.sys("thing/event/property/post"), Payload: fmt.Appendf(nil, `{"id":"1","version":"1.0","params":%s,"method":"thing.event.property.post"}`, params), QoS: iot.AtLeastOnce}
}
