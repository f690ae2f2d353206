// SPDX-License-Identifier: Apache-2.0

package mochi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mochi"
	devicemqtt "github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/mqttwire"
	"github.com/openalink/iot/iottest"
)

// site is what runs already: a broker that lets everybody in on a listener of its
// own, and devices beside.
type site struct {
	server  *mqtt.Server
	guard   *mochi.Guard
	network *mem.Network // "devices" and "staff"
}

func newSite(t *testing.T, a hal.Access, hooks ...mqtt.Hook) *site {
	t.Helper()
	s := &site{server: newServer(), network: new(mem.Network)}
	s.server.Options.InlineClient = true
	for _, h := range append(hooks, new(auth.AllowHook)) {
		if err := s.server.AddHook(h, nil); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.guard, err = mochi.New(s.server, mochi.Config{Access: a, Forward: true}); err != nil {
		t.Fatal(err)
	}
	for name, wrap := range map[string]func(listeners.Listener) listeners.Listener{
		"devices": s.guard.Wrap,
		"staff":   func(l listeners.Listener) listeners.Listener { return l },
	} {
		l, err := s.network.Listen(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.server.AddListener(wrap(listeners.NewNet(name, l))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.server.Close() })
	return s
}

// transport connects clients of the one listener or the other.
func (s *site) transport(listener string) hal.Transport {
	return &devicemqtt.Transport{URL: "tcp://" + listener, Net: toListener{s.network, listener}}
}

type toListener struct {
	*mem.Network
	name string
}

func (n toListener) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return n.Network.DialContext(ctx, network, n.name)
}

// TestConversation is everything a device and the platform say to each other, and
// what the broker's own clients hear of it.
func TestConversation(t *testing.T) {
	h := iottest.NewHub(t)
	s := newSite(t, h)
	ctx := t.Context()
	overheard := make(chan iot.Message, 16)
	staff, err := s.transport("staff").Connect(ctx, hal.Login{ClientID: "dashboard", KeepAlive: time.Minute, CleanSession: true}, func(m iot.Message) { overheard <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer staff.Close()
	if _, err := staff.(hal.SubscribingConn).Subscribe(ctx, []hal.Filter{{Topic: "/sys/#", QoS: 1}}); err != nil {
		t.Fatal(err)
	}

	d := h.Register()
	set := make(chan string, 1)
	c := iottest.Connect(t, h, d, device.Config{Transport: s.transport("devices"), Handlers: device.Handlers{
		SetProperties: func(_ context.Context, v map[string]json.RawMessage) error { set <- string(v["Power"]); return nil },
	}})
	if err := c.PostProperties(ctx, map[string]int{"Power": 1}); err != nil {
		t.Fatal(err)
	}
	m := <-overheard
	if want := "/sys/" + d.ID.String() + "/thing/event/property/post"; m.Topic != want || !bytes.Contains(m.Payload, []byte(`"Power":1`)) {
		t.Errorf("the broker's client heard %s %s", m.Topic, m.Payload)
	}
	if a, err := h.SetProperties(ctx, d.ID, map[string]int{"Power": 2}, hub.CallOptions{}); err != nil || a.Code != 200 {
		t.Errorf("set: %+v, %v", a, err)
	}
	if got := <-set; got != "2" {
		t.Errorf("the device was told %s", got)
	}

	// A refused message goes nowhere.
	other := h.Register()
	_ = c.Publish(ctx, "/sys/"+other.ID.String()+"/thing/event/property/post", []byte(`{"id":"1","params":{"Stolen":1}}`), 1)
	if err := c.PostProperties(ctx, map[string]int{"Power": 3}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // set_reply, then the post
		if m := <-overheard; bytes.Contains(m.Payload, []byte("Stolen")) {
			t.Errorf("the broker's client heard %s %s", m.Topic, m.Payload)
		}
	}
	if _, err := h.DisableDevice(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	for s.guard.Conns() > 0 {
		time.Sleep(time.Millisecond)
	}
	if n := s.server.Clients.Len(); n > 3 {
		t.Errorf("mochi knows %d clients", n)
	}
}

// TestOtherHooks: a hook that lets everybody in does not let in devices, nor does
// a device hear the broker's own clients.
func TestOtherHooks(t *testing.T) {
	h := iottest.NewHub(t)
	s := newSite(t, h)
	_, err := s.transport("devices").Connect(t.Context(), hal.Login{ClientID: "x|a=b|", UserName: "lamp&" + iottest.ProductKey, KeepAlive: time.Minute}, func(iot.Message) {})
	if r, ok := errors.AsType[*hal.RefusedError](err); !ok || r.Reason != hal.BadCredentials {
		t.Errorf("a stranger: %v", err)
	}
	staff, err := s.transport("staff").Connect(t.Context(), hal.Login{ClientID: "x", KeepAlive: time.Minute, CleanSession: true}, func(iot.Message) {})
	if err != nil {
		t.Fatalf("the broker's own client: %v", err)
	}
	defer staff.Close()
	if err := staff.Publish(t.Context(), iot.Message{Topic: "any/topic", QoS: 1}); err != nil {
		t.Error(err)
	}
}

// fragile is somebody's hook with a mistake.
type fragile struct{ mqtt.HookBase }

func (*fragile) Provides(b byte) bool { return b == mqtt.OnPacketRead }

func (*fragile) OnPacketRead(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if string(pk.Payload) == "boom" {
		panic("by the test")
	}
	return pk, nil
}

// TestPanicInMochi: a panic on a device's connection, in mochi or another hook,
// costs that connection only.
func TestPanicInMochi(t *testing.T) {
	a := new(haltest.FakeAccess)
	s := newSite(t, a, new(fragile))
	connect := func() hal.Conn {
		c, err := s.transport("devices").Connect(t.Context(), hal.Login{ClientID: "x", KeepAlive: time.Minute, CleanSession: true}, func(iot.Message) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	victim, bystander := connect(), connect()
	first, second := a.Next(t), a.Next(t)
	if err := victim.Publish(t.Context(), iot.Message{Topic: "/a", Payload: []byte("boom"), QoS: 1}); err == nil {
		t.Error("acknowledged")
	}
	if cause := first.Closed(t); cause != hal.CauseNotKept {
		t.Errorf("closed with %q", cause)
	}
	go func() { second.Received(t).Done(nil, nil) }()
	if err := bystander.Publish(t.Context(), iot.Message{Topic: "/a", QoS: 1}); err != nil {
		t.Error(err)
	}
	if n := s.guard.Conns(); n != 1 {
		t.Errorf("%d connections, want the bystander's", n)
	}
}

func TestNewMistakes(t *testing.T) {
	if _, err := mochi.New(nil, mochi.Config{Access: new(haltest.FakeAccess)}); err == nil {
		t.Error("no server is taken")
	}
	if _, err := mochi.New(newServer(), mochi.Config{}); err == nil {
		t.Error("no access is taken")
	}
}

// FuzzDevice: whatever a client sends, before and after it is let in, the broker
// lives and others notice nothing.
func FuzzDevice(f *testing.F) {
	login := mqttwire.AppendConnect(nil, &mqttwire.Connect{Level: mqttwire.Level311, ClientID: "x", KeepAlive: 60, CleanSession: true})
	f.Add(true, []byte{0x82, 6, 0, 1, 0, 0, 1, 'a'}) // SUBSCRIBE of MQTT 5 without its options
	f.Add(true, mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a", QoS: 1, PacketID: 1, Payload: []byte("x")}))
	f.Add(true, mqttwire.AppendUnsubscribe(nil, 1, "/a"))
	f.Add(true, mqttwire.AppendDisconnect(nil))
	f.Add(false, login)
	f.Add(false, []byte{0x10, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, letIn bool, b []byte) {
		a := &haltest.FakeAccess{Decide: func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
			s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
				if m.Topic == "" || m.QoS > iot.AtLeastOnce {
					t.Errorf("received %+v", m)
				}
				done(nil, nil)
			}
			s.OnSubscribe = func(_ context.Context, filters []hal.Filter) []hal.Grant { return make([]hal.Grant, len(filters)) }
			s.OnClose = func(hal.Cause) {}
			return hal.Accepted{Session: s}, nil
		}}
		s := newSite(t, a)
		nc, err := s.network.DialContext(t.Context(), "tcp", "devices")
		if err != nil {
			t.Fatal(err)
		}
		if letIn {
			b = append(append([]byte(nil), login...), b...)
		}
		go func() {
			_, _ = nc.Write(b)
			_ = nc.Close()
		}()
		for i := 0; s.guard.Conns() > 0 || i < 20; i++ { // it may not have come yet
			time.Sleep(100 * time.Microsecond)
		}
		staff, err := s.transport("staff").Connect(t.Context(), hal.Login{ClientID: "x", KeepAlive: time.Minute, CleanSession: true}, func(iot.Message) {})
		if err != nil {
			t.Fatalf("the broker: %v", err)
		}
		_ = staff.Close()
	})
}
