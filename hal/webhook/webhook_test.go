// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/webhook"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

const secret = "the-brokers-secret"

var services = map[string]auth.Secret{"platform": auth.NewSecret("platform-password")}

// rig is a platform behind a broker of others.
type rig struct {
	*iottest.Hub
	hook   *webhook.Server
	url    string
	broker *broker
	up     chan struct{} // told each time the consumer is subscribed
}

// makes are the brokers there are.
var makes = map[string]func(p poster) asker{
	"EMQX":      func(p poster) asker { return emqxAsker{p} },
	"RabbitMQ":  func(p poster) asker { return rabbitAsker{p} },
	"VerneMQ":   func(p poster) asker { return verneAsker{p} },
	"Mosquitto": func(p poster) asker { return mosquittoAsker{p} },
}

func eachMake(t *testing.T, test func(t *testing.T, name string)) {
	for name := range makes {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func newHook(t *testing.T, cfg webhook.Config) (*webhook.Server, poster) {
	t.Helper()
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Secret, cfg.Services, cfg.Settle = auth.NewSecret(secret), services, 20*time.Millisecond
	cfg.Linger = 50 * time.Millisecond
	hook, err := webhook.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(hook)
	t.Cleanup(func() {
		if err := hook.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return hook, poster{t, web.URL + "/" + secret}
}

func newRig(t *testing.T, name string, change func(*webhook.Config)) *rig {
	t.Helper()
	r := &rig{Hub: iottest.NewHub(t), up: make(chan struct{}, 16)}
	cfg := webhook.Config{Access: r.Hub}
	if change != nil {
		change(&cfg)
	}
	var p poster
	r.hook, p = newHook(t, cfg)
	r.url = p.url
	r.broker = newBroker(t, makes[name](p))
	r.consume(t)
	return r
}

func (r *rig) consume(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.hook.Consume(ctx, webhook.Consumer{
			URL: "mqtt://" + r.broker.addr, UserName: "platform", Password: services["platform"],
			Subscribed: func() { r.up <- struct{}{} },
		})
	}()
	wait(t, r.up, "the consumer")
	stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Consume: %v", err)
		}
		ended <- context.Canceled
	}
	t.Cleanup(stop)
	return stop
}

// until waits for what must come.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !come(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// connect connects a device to the broker.
func (r *rig) connect(t *testing.T, d hub.Device, h device.Handlers) *device.Client {
	t.Helper()
	return iottest.Connect(t, r.Hub, d, device.Config{Transport: mqtt.New("tcp://" + r.broker.addr), Handlers: h, ExplicitSubscribe: true})
}

// TestConversation is everything a device and the platform say to each other.
func TestConversation(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		r := newRig(t, name, nil)
		d := r.Register()
		set := make(chan string, 1)
		heard := make(chan string, 1)
		c := r.connect(t, d, device.Handlers{
			SetProperties: func(_ context.Context, v map[string]json.RawMessage) error { set <- string(v["Power"]); return nil },
			Services:      map[string]device.ServiceFunc{"add": device.Service(func(_ context.Context, in []int) (int, error) { return in[0] + in[1], nil })},
			Message:       func(_ context.Context, _ string, p []byte) { heard <- string(p) },
		})
		ctx := t.Context()
		if err := c.PostProperties(ctx, map[string]int{"Power": 1}); err != nil {
			t.Fatalf("post: %v", err)
		}
		if got := r.Values(d.ID)["Power"]; got != "1" {
			t.Errorf("Power is %s at the platform", got)
		}
		if a, err := r.SetProperties(ctx, d.ID, map[string]int{"Power": 2}, hub.CallOptions{}); err != nil || a.Code != 200 {
			t.Fatalf("set: %+v, %v", a, err)
		}
		if got := wait(t, set, "the property set"); got != "2" {
			t.Errorf("the device was told %s", got)
		}
		if a, err := r.InvokeService(ctx, d.ID, "add", []int{2, 3}, hub.CallOptions{}); err != nil || string(a.Data) != "5" {
			t.Errorf("service: %+v, %v", a, err)
		}
		if err := c.Subscribe(ctx, "user/get", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Publish(ctx, d.ID, "/"+d.ID.String()+"/user/get", []byte("hi"), hub.SendOptions{QoS: 1}); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, heard, "the message"); got != "hi" {
			t.Errorf("the device heard %q", got)
		}
		if err := c.Subscribe(ctx, "/sys/a/b/#", 1); !errors.Is(err, device.ErrRefusedTopic) {
			t.Errorf("foreign topic: %v", err)
		}
		if n := r.hook.Dropped(); n > 0 {
			t.Errorf("%d messages were dropped", n)
		}
		_ = c.Close()
	})
}

// login signs a device's login.
func login(d hub.Device, secret auth.Secret) hal.Login {
	tr := auth.SignMQTT(d.ID, secret, auth.MQTTOptions{})
	return hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: time.Minute, CleanSession: true}
}

func TestRefused(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		r := newRig(t, name, nil)
		d := r.Register()
		transport := mqtt.New("tcp://" + r.broker.addr)
		for what, l := range map[string]hal.Login{
			"wrong secret":           login(d, auth.NewSecret("wrong")),
			"unknown device":         login(hub.Device{ID: iot.DeviceID{Product: d.ID.Product, Name: "ghost"}}, d.Secret),
			"service, no password":   {ClientID: "x", UserName: "platform", KeepAlive: time.Minute, CleanSession: true},
			"service, wrong":         {ClientID: "x", UserName: "platform", Password: auth.NewSecret("x"), KeepAlive: time.Minute, CleanSession: true},
			"nobody":                 {ClientID: "x", KeepAlive: time.Minute, CleanSession: true},
			"client id without bars": {ClientID: "x", UserName: d.ID.Name + "&" + d.ID.Product, Password: d.Secret, KeepAlive: time.Minute, CleanSession: true},
		} {
			if c, err := transport.Connect(t.Context(), l, func(iot.Message) {}); err == nil {
				t.Errorf("%s: let in", what)
				_ = c.Close()
			}
		}
		if n := r.hook.Clients(); n != 0 {
			t.Errorf("%d clients are in", n)
		}
	})
}

// TestForeignTopic: the broker closes the connection of who publishes what is not
// his, and the platform hears nothing of it.
func TestForeignTopic(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		r := newRig(t, name, nil)
		d, other := r.Register(), r.Register()
		conn, err := mqtt.New("tcp://"+r.broker.addr).Connect(t.Context(), login(d, d.Secret), func(iot.Message) {})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		m := iot.Message{Topic: "/sys/" + other.ID.String() + "/thing/event/property/post", Payload: []byte(`{"id":"1","params":{"Stolen":1}}`), QoS: 1}
		if err := conn.Publish(t.Context(), m); err == nil {
			t.Error("the broker took it")
		}
		if v := r.Values(other.ID); len(v) > 0 {
			t.Errorf("a device wrote %v to another", v)
		}
	})
}

// online waits until the platform knows a device as online or not.
func (r *rig) online(t *testing.T, id iot.DeviceID, want bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		d, err := r.Device(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if (d.State == hub.Online) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v is %v", id, d.State)
		}
	}
}

func TestPresence(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		r := newRig(t, name, func(cfg *webhook.Config) { cfg.Silence = 300 * time.Millisecond })
		d := r.Register()
		c := r.connect(t, d, device.Handlers{})
		r.online(t, d.ID, true)
		switch name {
		case "RabbitMQ", "Mosquitto": // ended by silence, and brought back by a message
			r.online(t, d.ID, false)
			if err := c.PostProperties(t.Context(), map[string]int{"Power": 1}); err != nil {
				t.Errorf("post after a silence: %v", err)
			}
			if got := r.Values(d.ID)["Power"]; got != "1" {
				t.Errorf("Power is %s", got)
			}
		}
		_ = c.Close()
		r.online(t, d.ID, false)
	})
}

// TestDisabled: nothing of a disabled device counts, whatever the broker thinks.
func TestDisabled(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		kicked := make(chan string, 4)
		r := newRig(t, name, func(cfg *webhook.Config) {
			cfg.Kick = func(_ context.Context, client string) error { kicked <- client; return nil }
		})
		d := r.Register()
		l := login(d, d.Secret)
		conn, err := mqtt.New("tcp://"+r.broker.addr).Connect(t.Context(), l, func(iot.Message) {})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := r.DisableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, kicked, "the kick"); got != l.ClientID {
			t.Errorf("kicked %q, want %q", got, l.ClientID)
		}
		m := iot.Message{Topic: "/sys/" + d.ID.String() + "/thing/event/property/post", Payload: []byte(`{"id":"1","params":{"Late":1}}`), QoS: 1}
		if err := conn.Publish(t.Context(), m); err == nil {
			t.Error("a disabled device may publish")
		}
		if v := r.Values(d.ID); len(v) > 0 {
			t.Errorf("kept %v", v)
		}
	})
}

// TestTakeOver: the same device again, with the same client id and with another.
func TestTakeOver(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		r := newRig(t, name, nil)
		d := r.Register()
		transport := mqtt.New("tcp://" + r.broker.addr)
		for _, id := range []string{"one", "one", "two"} {
			tr := auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{ClientID: id})
			conn, err := transport.Connect(t.Context(), hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: time.Minute, CleanSession: true}, func(iot.Message) {})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			m := iot.Message{Topic: "/sys/" + d.ID.String() + "/thing/event/property/post", Payload: []byte(`{"id":"1","params":{"Power":1}}`), QoS: 1}
			if err := conn.Publish(t.Context(), m); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		r.online(t, d.ID, true)
		if n := r.hook.Clients(); n != 1 {
			t.Errorf("%d clients, want the newest alone", n)
		}
	})
}

// TestConsumerAway: what devices say while nobody consumes waits at the broker.
func TestConsumerAway(t *testing.T) {
	eachMake(t, func(t *testing.T, name string) {
		r := newRig(t, name, nil)
		d := r.Register()
		conn, err := mqtt.New("tcp://"+r.broker.addr).Connect(t.Context(), login(d, d.Secret), func(iot.Message) {})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r.broker.cut("openalink")
		m := iot.Message{Topic: "/sys/" + d.ID.String() + "/thing/event/property/post", Payload: []byte(`{"id":"1","params":{"Power":7}}`), QoS: 1}
		if err := conn.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		wait(t, r.up, "the consumer, again")
		until(t, "the post at the platform", func() bool { return r.Values(d.ID)["Power"] == "7" })
		until(t, "the acknowledgement at the broker", func() bool { return r.broker.pending("openalink") == 0 })
	})
}

// cut ends a client's connection.
func (b *broker) cut(client string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.clients[client]; c != nil && c.link != nil {
		c.link.Close(hal.CauseReset)
	}
}
