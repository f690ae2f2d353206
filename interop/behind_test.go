// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/webhook"
)

// The contract of doors behind a broker, held against brokers of others. One broker
// runs for all cases, and each case has a webhook of its own behind it.

// behind is where the broker's questions go: to the webhook of the case that runs.
type behind struct {
	*platform
	now atomic.Pointer[webhook.Server]
}

func newBehind(t *testing.T) *behind {
	b := &behind{platform: new(platform)}
	b.questions = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hook := b.now.Load(); hook != nil {
			hook.ServeHTTP(w, r)
			return
		}
		http.Error(w, "no case runs", http.StatusServiceUnavailable)
	}))
	t.Cleanup(b.questions.Close)
	return b
}

// front is the broker with the webhook of one case.
type front struct {
	*webhook.Server
	consumer  webhook.Consumer
	transport hal.Transport
}

func (f *front) Transport() hal.Transport { return f.transport }

func (f *front) Consume(ctx context.Context, subscribed func()) error {
	cfg := f.consumer
	cfg.Subscribed = subscribed
	return f.Server.Consume(ctx, cfg)
}

// open makes the webhook of a case.
func (b *behind) open(t *testing.T, a hal.Access) *front {
	t.Helper()
	hook, err := webhook.New(webhook.Config{
		Access: a, Secret: auth.NewSecret(brokerSecret), Services: brokerServices, Timeout: 20 * time.Second,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.now.Store(hook)
	f := &front{
		Server: hook, transport: mqtt.New("tcp://" + b.broker),
		consumer: webhook.Consumer{URL: "mqtt://" + b.broker, UserName: "platform", Password: brokerServices["platform"], ClientID: "openalink"},
	}
	t.Cleanup(func() {
		b.forget(t, &f.consumer)
		b.now.Store(nil)
		_ = hook.Close()
	})
	return f
}

// forget has the broker drop what it kept for the consumer.
func (b *behind) forget(t *testing.T, cfg *webhook.Consumer) {
	l := hal.Login{ClientID: cfg.ClientID, UserName: cfg.UserName, Password: cfg.Password, KeepAlive: time.Minute, CleanSession: true}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := mqtt.New("tcp://"+b.broker).Connect(ctx, l, func(m iot.Message) {})
	if err != nil {
		t.Errorf("the consumer's session stays: %v", err)
		return
	}
	_ = conn.Close()
}

// TestContractBehindRabbitMQ is the contract behind RabbitMQ.
func TestContractBehindRabbitMQ(t *testing.T) {
	b := newBehind(t)
	log := startRabbitMQ(t, b.platform)
	haltest.TestBehindBroker(t, func(t *testing.T, a hal.Access) haltest.Broker { return b.open(t, a) },
		haltest.LeaveOut("Close/EndIsTold", "RabbitMQ tells AMQP clients only, in headers, that a connection ended"))
	if t.Failed() {
		t.Logf("RabbitMQ said:\n%s", log)
	}
}

// asking is a transport that asks the questions of mosquitto-go-auth in its place:
// Debian has no package of it, and Mosquitto itself lets everybody in here.
type asking struct {
	hal.Transport
	b *behind
}

func (a asking) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	if !a.b.asked(ctx, "user", url.Values{"username": {l.UserName}, "password": {l.Password.Reveal()}, "clientid": {l.ClientID}}) {
		return nil, &hal.RefusedError{Reason: hal.NotAuthorized}
	}
	conn, err := a.Transport.Connect(ctx, l, recv)
	if err != nil {
		return nil, err
	}
	return &askingConn{conn.(hal.SubscribingConn), a.b, l}, nil
}

type askingConn struct {
	hal.SubscribingConn
	b     *behind
	login hal.Login
}

func (c *askingConn) may(ctx context.Context, acc, topic string) bool {
	return c.b.asked(ctx, "acl", url.Values{"username": {c.login.UserName}, "clientid": {c.login.ClientID}, "acc": {acc}, "topic": {topic}})
}

func (c *askingConn) Publish(ctx context.Context, m iot.Message) error {
	if !c.may(ctx, "2", m.Topic) {
		return nil // Mosquitto drops it
	}
	return c.SubscribingConn.Publish(ctx, m)
}

func (c *askingConn) Subscribe(ctx context.Context, filters []hal.Filter) ([]hal.Grant, error) {
	for _, f := range filters {
		if !c.may(ctx, "4", f.Topic) {
			return make([]hal.Grant, len(filters)), errors.New("refused")
		}
	}
	return c.SubscribingConn.Subscribe(ctx, filters)
}

// asked posts a question as mosquitto-go-auth does.
func (b *behind) asked(ctx context.Context, path string, form url.Values) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.questions.URL+"/"+brokerSecret+"/mosquitto/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.questions.Client().Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// TestContractBehindMosquitto is the contract with Mosquitto as the consumer's
// broker, with an ordinary subscription and a shared one.
func TestContractBehindMosquitto(t *testing.T) {
	b := newBehind(t)
	startMosquitto(t, b.platform, nil)
	inItsPlace := "the plugin's question, which the test asks in its place here"
	for name, group := range map[string]string{"Subscription": "", "SharedSubscription": "hubs"} {
		t.Run(name, func(t *testing.T) {
			haltest.TestBehindBroker(t, func(t *testing.T, a hal.Access) haltest.Broker {
				f := b.open(t, a)
				f.consumer.Group = group
				f.transport = asking{f.transport, b}
				return f
			},
				haltest.LeaveOut("Connect/RefusedLogin", inItsPlace),
				haltest.LeaveOut("Connect/ForeignTopic", inItsPlace),
				haltest.LeaveOut("Connect/ForeignFilter", inItsPlace),
				haltest.LeaveOut("Close/EndIsTold", "mosquitto-go-auth tells nothing"))
		})
	}
}
