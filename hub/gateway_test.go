// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
	"github.com/openalink/iot/topic"
)

const gatewayPK = "a1TestGw0001"

// newGateway registers a gateway of the product all test gateways have.
func (p *platform) newGateway(name string) hub.Device {
	p.t.Helper()
	if _, err := p.hub.CreateProduct(p.t.Context(), hub.Product{Key: gatewayPK, Gateway: true}); err != nil {
		p.t.Fatal(err)
	}
	d, err := p.hub.RegisterDevice(p.t.Context(), hub.Device{ID: iot.DeviceID{Product: gatewayPK, Name: name}})
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// signedSub is an entry of topo/add or combine/login.
func signedSub(d hub.Device, more ...auth.Param) map[string]any {
	params := append([]auth.Param{
		{Key: "productKey", Value: d.ID.Product},
		{Key: "deviceName", Value: d.ID.Name},
		{Key: "clientId", Value: d.ID.Product + "." + d.ID.Name},
		{Key: "timestamp", Value: "1885282"},
	}, more...)
	entry := map[string]any{"signMethod": "hmacsha256", "sign": auth.Sign(auth.HMACSHA256, d.Secret, params...)}
	for _, p := range params {
		entry[p.Key] = p.Value
	}
	return entry
}

func nameEntry(id iot.DeviceID) map[string]any {
	return map[string]any{"productKey": id.Product, "deviceName": id.Name}
}

// ask sends a gateway's request on the topic of the path and returns the answer.
func (c *client) ask(path string, params any) reply {
	c.p.t.Helper()
	name := c.sys(path)
	if strings.HasPrefix(path, "session/") {
		name = topic.Ext(path, c.id)
	}
	raw, err := json.Marshal(map[string]any{"id": "1", "version": "1.0", "params": params})
	if err != nil {
		c.p.t.Fatal(err)
	}
	answers, err := c.publish(name, string(raw), iot.AtMostOnce)
	if err != nil || len(answers) != 1 || answers[0].Topic != name+"_reply" {
		c.p.t.Fatalf("%s: %v, %v", name, answers, err)
	}
	var r reply
	if err := json.Unmarshal(answers[0].Payload, &r); err != nil {
		c.p.t.Fatal(err)
	}
	r.raw = string(answers[0].Payload)
	return r
}

func (c *client) wantCode(want int, path string, params any) reply {
	c.p.t.Helper()
	r := c.ask(path, params)
	if r.Code != want {
		c.p.t.Errorf("%s: code %d (%s), want %d", path, r.Code, r.Message, want)
	}
	return r
}

const (
	topoAdd    = "thing/topo/add"
	subLogin   = "session/combine/login"
	subLogout  = "session/combine/logout"
	batchLogin = "session/combine/batch_login"
)

// join binds and logs in sub-devices.
func (c *client) join(subs ...hub.Device) {
	c.p.t.Helper()
	for _, d := range subs {
		c.wantCode(200, topoAdd, []any{signedSub(d)})
		c.wantCode(200, subLogin, signedSub(d))
	}
}

// as speaks for a sub-device through its gateway.
func (c *client) as(id iot.DeviceID) *client {
	sub := *c
	sub.id = id
	return &sub
}

func limitless() *hub.Limits {
	l := hub.NoLimits()
	return &l
}

func TestSubDeviceConversation(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 4}, func(t *testing.T, p *platform) {
		gw := p.connect(p.newGateway("gw-1"))
		d := p.register("sub-1")
		gw.join(d)
		if !p.hub.Online(d.ID) {
			t.Fatal("sub-device is not online")
		}
		sub := gw.as(d.ID)
		if r := sub.post("thing/event/property/post", `{"id":"7","params":{"Power":1}}`); r.Code != 200 || r.ID != "7" {
			t.Errorf("post: %s", r.raw)
		}
		if v, err := p.hub.Properties(t.Context(), d.ID); err != nil || string(v["Power"].Value) != "1" {
			t.Errorf("values %v, %v", v, err)
		}
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: d.ID}) {
			if err != nil || m.Via != gw.id {
				t.Errorf("message %+v, %v", m, err)
			}
		}
		gw.take()
		if _, err := p.hub.Publish(t.Context(), d.ID, topic.Custom(d.ID, "user/get"), []byte("hello"), hub.SendOptions{QoS: 1}); !errors.Is(err, hub.ErrNotSubscribed) {
			t.Errorf("publish before subscribing: %v", err)
		}
		if g := gw.subscribe(topic.Custom(d.ID, "user/get"), topic.Custom(iot.DeviceID{Product: d.ID.Product, Name: "foreign"}, "user/get")); g[0] != 1 || g[1] != hal.Refused {
			t.Errorf("grants %v", g)
		}
		if _, err := p.hub.Publish(t.Context(), d.ID, topic.Custom(d.ID, "user/get"), []byte("hello"), hub.SendOptions{QoS: 1}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		got := gw.take()
		if len(got) != 1 || string(got[0].Message.Payload) != "hello" || got[0].PacketID < 1<<15 {
			t.Errorf("gateway got %+v", got)
		}
		gw.wantCode(200, subLogout, nameEntry(d.ID))
		if p.hub.Online(d.ID) {
			t.Error("sub-device is online after its logout")
		}
		if _, err := sub.publish(sub.sys("thing/event/property/post"), `{"id":"8","params":{"Power":2}}`, 1); !isRejected(err) {
			t.Errorf("post after logout: %v", err)
		}
		synctest.Wait()
		if got := gw.take(); len(got) != 1 || got[0].Message.Topic != topic.Ext("error", gw.id) || !strings.Contains(string(got[0].Message.Payload), `"code":520`) {
			t.Errorf("gateway got %+v, want 520", got)
		}
	})
}

// The tables of wire facts sections 12.4 and 12.6, each code for its situation.
func TestGatewayCodes(t *testing.T) {
	limits := hub.NoLimits()
	limits.SubDevices, limits.SubDevicesOnline, limits.BatchLogins = 4, 2, 5
	bubble(t, hub.Config{Limits: &limits, Workers: 3}, func(t *testing.T, p *platform) {
		g1 := p.newGateway("gw-1")
		gw, other := p.connect(g1), p.connect(p.newGateway("gw-2"))
		subs := make([]hub.Device, 6)
		for i := range subs {
			subs[i] = p.register(fmt.Sprint("sub-", i))
		}
		bad := func(d hub.Device) map[string]any {
			e := signedSub(d)
			e["sign"] = strings.Repeat("0", 64)
			return e
		}
		unknown := hub.Device{ID: iot.DeviceID{Product: p.product.Key, Name: "nobody"}, Secret: auth.NewSecret("x")}

		gw.wantCode(460, topoAdd, []any{})
		gw.wantCode(460, topoAdd, "nonsense")
		gw.wantCode(460, topoAdd, []any{signedSub(subs[0]), signedSub(subs[0])})
		gw.wantCode(6280, topoAdd, []any{nameEntry(iot.DeviceID{Product: p.product.Key, Name: "!"})})
		gw.wantCode(6402, topoAdd, []any{signedSub(g1)})
		gw.wantCode(6100, topoAdd, []any{signedSub(unknown)})
		gw.wantCode(401, topoAdd, []any{bad(subs[0])})
		gw.wantCode(6401, subLogin, signedSub(subs[0]))
		gw.wantCode(6401, "thing/topo/delete", []any{nameEntry(subs[0].ID)})
		gw.wantCode(200, topoAdd, []any{signedSub(subs[0]), signedSub(subs[1]), signedSub(subs[2])})
		gw.wantCode(6400, topoAdd, []any{signedSub(subs[3]), signedSub(subs[4])})

		gw.wantCode(460, subLogin, map[string]any{"productKey": p.product.Key})
		gw.wantCode(460, subLogin, nameEntry(subs[0].ID))
		gw.wantCode(6100, subLogin, signedSub(unknown))
		gw.wantCode(6287, subLogin, bad(subs[0]))
		gw.wantCode(6287, batchLogin, map[string]any{"deviceList": []any{signedSub(subs[0]), bad(subs[1])}})
		if p.hub.Online(subs[0].ID) {
			t.Error("a batch login that failed let somebody in")
		}
		gw.wantCode(428, batchLogin, map[string]any{"deviceList": []any{signedSub(subs[0]), signedSub(subs[1]), signedSub(subs[2])}})
		gw.wantCode(200, batchLogin, map[string]any{"signMethod": "hmacSha256", "deviceList": []any{signedSub(subs[0]), signedSub(subs[1])}})
		gw.wantCode(428, subLogin, signedSub(subs[2]))
		gw.wantCode(520, subLogout, nameEntry(subs[2].ID))
		gw.wantCode(520, subLogout, nameEntry(unknown.ID))
		gw.wantCode(460, subLogout, map[string]any{})
		gw.wantCode(200, subLogout, nameEntry(subs[0].ID))

		if _, err := p.hub.DisableDevice(t.Context(), subs[2].ID); err != nil {
			t.Fatal(err)
		}
		gw.wantCode(522, subLogin, signedSub(subs[2]))
		if _, err := p.hub.DisableDevice(t.Context(), subs[5].ID); err != nil {
			t.Fatal(err)
		}
		other.wantCode(6204, topoAdd, []any{signedSub(subs[5])})
		if err := p.hub.DeleteDevice(t.Context(), subs[2].ID); err != nil {
			t.Fatal(err)
		}
		gw.wantCode(521, subLogin, signedSub(subs[2]))
		other.wantCode(6100, subLogin, signedSub(subs[2]))
		gw.wantCode(200, "thing/topo/get", "{}")
	})
}

func TestSubRegisterCodes(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 2}, func(t *testing.T, p *platform) {
		const register = "thing/sub/register"
		g1 := p.newGateway("gw-1")
		gw, other := p.connect(g1), p.connect(p.newGateway("gw-2"))
		a, b := p.register("sub-a"), p.register("sub-b")
		entry := []any{nameEntry(a.ID)}
		gw.wantCode(6288, register, entry)
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(p *hub.Product) { p.DynamicRegister = true }); err != nil {
			t.Fatal(err)
		}
		gw.wantCode(6250, register, []any{nameEntry(iot.DeviceID{Product: "a1Nowhere", Name: "sub-a"})})
		gw.wantCode(6100, register, []any{nameEntry(iot.DeviceID{Product: p.product.Key, Name: "nobody"})})
		gw.wantCode(6280, register, []any{nameEntry(iot.DeviceID{Product: p.product.Key, Name: "!"})})
		gw.wantCode(6402, register, []any{nameEntry(gw.id)})
		gw.wantCode(460, register, []any{map[string]any{}})
		p.connect(b).wantCode(401, register, entry) // no gateway
		other.wantCode(200, topoAdd, []any{signedSub(a)})
		gw.wantCode(6619, register, entry)
		r := other.wantCode(200, register, entry)
		if !strings.Contains(r.raw, `"deviceSecret":"`+a.Secret.Reveal()) {
			t.Errorf("answer %s", r.raw)
		}
		other.wantCode(6289, register, entry)
		gw.wantCode(6401, "thing/sub/unregister", entry)
		other.wantCode(200, "thing/sub/unregister", entry)
		gw.wantCode(401, topoAdd, []any{signedSub(a)}) // what it signed with is void
		gw.wantCode(200, register, entry)

		found := "thing/list/found"
		gw.wantCode(200, found, entry)
		gw.wantCode(460, found, []any{})
		gw.wantCode(6250, found, []any{nameEntry(iot.DeviceID{Product: "a1Nowhere", Name: "sub-a"})})
		gw.wantCode(6280, found, []any{nameEntry(iot.DeviceID{Product: p.product.Key, Name: "!"})})
		forwarded := false
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: gw.id}) {
			if err != nil {
				t.Fatal(err)
			}
			all, err := p.hub.Forward(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range all {
				forwarded = forwarded || f.Topic == "/"+gw.id.String()+"/thing/list/found" && strings.Contains(string(f.Body), `"deviceName":"sub-a"`)
			}
		}
		if !forwarded {
			t.Error("what the gateway found is not forwarded")
		}
	})
}

// brokenSecrets cannot tell.
type brokenSecrets struct{ good map[iot.DeviceID]auth.Secret }

func (s *brokenSecrets) DeviceSecret(_ context.Context, id iot.DeviceID) (auth.Secret, error) {
	if secret, ok := s.good[id]; ok {
		return secret, nil
	}
	return auth.Secret{}, errors.New("vault is sealed")
}

func TestGatewayCode500(t *testing.T) {
	src := &brokenSecrets{good: map[iot.DeviceID]auth.Secret{}}
	bubble(t, hub.Config{Limits: limitless(), Secrets: src}, func(t *testing.T, p *platform) {
		g := p.newGateway("gw-1")
		src.good[g.ID] = g.Secret
		gw := p.connect(g)
		gw.wantCode(500, topoAdd, []any{signedSub(p.register("sub-1"))})
	})
}

// More than five logins a minute are refused with 429.
func TestSubDeviceLoginRate(t *testing.T) {
	limits := hub.DefaultLimits()
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		gw, d := p.connect(p.newGateway("gw-1")), p.register("sub-1")
		gw.join(d)
		for range 4 {
			gw.wantCode(200, subLogin, signedSub(d))
		}
		gw.wantCode(429, subLogin, signedSub(d))
		time.Sleep(time.Minute)
		gw.wantCode(200, subLogin, signedSub(d))
	})
}

func (c *client) wantNotice(t *testing.T, code string, id iot.DeviceID) {
	t.Helper()
	synctest.Wait()
	var on []string
	for _, d := range c.take() {
		if strings.Contains(string(d.Message.Payload), `"code":`+code) && strings.Contains(string(d.Message.Payload), id.Name) {
			on = append(on, d.Message.Topic)
		}
	}
	if len(on) != 2 || on[0] != topic.Ext("session/combine/logout_reply", c.id) || on[1] != topic.Ext("error", c.id) {
		t.Errorf("notice %s about %v on %v", code, id, on)
	}
}

// A sub-device that logs in elsewhere, is disabled or deleted: the gateway hears.
func TestSubDeviceIsTakenAway(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 5}, func(t *testing.T, p *platform) {
		gw, other := p.connect(p.newGateway("gw-1")), p.connect(p.newGateway("gw-2"))
		d := p.register("sub-1")
		gw.join(d)
		gw.take()
		other.join(d) // binds it there
		gw.wantNotice(t, "427", d.ID)
		if g, online, err := p.hub.GatewayOf(t.Context(), d.ID); g != other.id || !online || err != nil {
			t.Errorf("bound to %v, online %v, %v", g, online, err)
		}
		other.take()
		direct := p.connect(d)
		other.wantNotice(t, "427", d.ID)
		other.wantCode(200, subLogin, signedSub(d))
		synctest.Wait()
		if direct.cause != hal.CauseKicked {
			t.Errorf("direct connection ended with %q", direct.cause)
		}
		other.take()
		if _, err := p.hub.DisableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var topics []string
		for _, m := range other.take() {
			topics = append(topics, m.Message.Topic)
		}
		slices.Sort(topics)
		want := []string{
			topic.Ext("error", other.id), topic.Ext("session/combine/logout_reply", other.id),
			topic.Sys(other.id, "thing/topo/change"), topic.Sys(d.ID, "thing/disable"),
		}
		if fmt.Sprint(topics) != fmt.Sprint(want) {
			t.Errorf("gateway heard %v, want %v", topics, want)
		}
		if _, err := p.hub.EnableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		other.wantCode(200, subLogin, signedSub(d))
		other.take()
		if err := p.hub.DeleteDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		other.wantNotice(t, "521", d.ID)
	})
}

// Each loss of the gateway ends each sub-device's session once, after its own.
func TestGatewayLost(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 4}, func(t *testing.T, p *platform) {
		gw := p.connect(p.newGateway("gw-1"))
		var subs []hub.Device
		for i := range 50 {
			subs = append(subs, p.register(fmt.Sprintf("sub-%02d", i)))
		}
		gw.join(subs...)
		gw.session.Close(hal.CauseKeepAlive)
		synctest.Wait()
		own, err := p.hub.Presence(t.Context(), gw.id)
		if err != nil || own.Last.Online || own.Last.Cause != hal.CauseKeepAlive {
			t.Fatalf("gateway %+v, %v", own, err)
		}
		for _, d := range subs {
			var last hub.PresenceEvent
			n := 0
			for e, err := range p.hub.PresenceEvents(t.Context(), d.ID, time.Time{}) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == 2 {
					last = e
				}
			}
			if n != 2 || last.Online || last.Cause != hal.CauseGateway || last.Via != gw.id || last.ViaSession != own.Last.Session {
				t.Errorf("%v: %d events, last %+v", d.ID, n, last)
			}
		}
		if n := p.hub.Connected(); n != 0 {
			t.Errorf("%d devices are connected", n)
		}
	})
}

// What is kept for a sub-device waits for it, whatever connection its gateway has.
func TestSubDeviceQueue(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		g := p.newGateway("gw-1")
		gw, d := p.connect(g), p.register("sub-1")
		gw.wantCode(200, topoAdd, []any{signedSub(d)})
		keep := signedSub(d)
		keep["cleanSession"] = "false"
		gw.wantCode(200, subLogin, keep)
		gw.subscribe(topic.Custom(d.ID, "user/get"))
		gw.wantCode(200, subLogout, nameEntry(d.ID))
		send := func() {
			t.Helper()
			if _, err := p.hub.Publish(t.Context(), d.ID, topic.Custom(d.ID, "user/get"), []byte("later"), hub.SendOptions{QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		send()
		gw.goodbye()
		gw = p.connect(g)
		gw.wantCode(200, subLogin, keep)
		synctest.Wait()
		if got := gw.take(); len(got) != 1 || string(got[0].Message.Payload) != "later" {
			t.Errorf("resumed: %+v", got)
		}
		gw.wantCode(200, subLogout, nameEntry(d.ID))
		send()
		drop := signedSub(d, auth.Param{Key: "cleanSession", Value: "true"})
		gw.wantCode(200, subLogin, drop)
		synctest.Wait()
		if got := gw.take(); len(got) != 0 {
			t.Errorf("clean session: %+v", got)
		}
	})
}

func TestApplicationChangesTopology(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 3}, func(t *testing.T, p *platform) {
		gw := p.connect(p.newGateway("gw-1"))
		d := p.register("sub-1")
		if err := p.hub.AddSubDevices(t.Context(), gw.id, d.ID); err != nil {
			t.Fatal(err)
		}
		gw.wantCode(200, subLogin, signedSub(d))
		if err := p.hub.RemoveSubDevices(t.Context(), gw.id, d.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var got []string
		for _, m := range gw.take() {
			if m.Message.Topic == gw.sys("thing/topo/change") {
				_, params, _ := strings.Cut(string(m.Message.Payload), `"params":`)
				got = append(got, params[:len(params)-1])
			}
		}
		sub := `,"subList":[{"productKey":"` + d.ID.Product + `","deviceName":"sub-1"}]}`
		if fmt.Sprint(got) != fmt.Sprint([]string{`{"status":0` + sub, `{"status":1` + sub}) {
			t.Errorf("changes %v", got)
		}
		if p.hub.Online(d.ID) {
			t.Error("a sub-device that was removed is online")
		}
		for _, err := range []error{
			p.hub.RemoveSubDevices(t.Context(), gw.id, d.ID), p.hub.AddSubDevices(t.Context(), gw.id, gw.id),
			p.hub.AddSubDevices(t.Context(), d.ID, d.ID), p.hub.AddSubDevices(t.Context(), gw.id, d.ID, d.ID),
		} {
			if !errors.Is(err, hub.ErrInvalid) {
				t.Errorf("error %v", err)
			}
		}
		if err := p.hub.AddSubDevices(t.Context(), gw.id, d.ID); err != nil {
			t.Fatal(err)
		}
		if err := p.hub.DeleteDevice(t.Context(), gw.id); err != nil {
			t.Fatal(err)
		}
		if g, _, err := p.hub.GatewayOf(t.Context(), d.ID); err != nil || !g.IsZero() {
			t.Errorf("bound to %v after the gateway's end, %v", g, err)
		}
	})
}

// A handler cannot change the topology: it runs on the worker that would.
func TestHandlersMayNotChangeTheTopology(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 2}, func(t *testing.T, p *platform) {
		gw, d := p.connect(p.newGateway("gw-1")), p.register("sub-1")
		tried := make(chan error, 1)
		if err := p.hub.Mux().HandleFunc("app/adopt", func(ctx context.Context, _ *alink.Request) alink.Reply {
			tried <- p.hub.AddSubDevices(ctx, gw.id, d.ID)
			return alink.OK(nil)
		}); err != nil {
			t.Fatal(err)
		}
		gw.wantCode(200, "app/adopt", map[string]any{})
		if err := <-tried; err == nil {
			t.Error("a handler changed the topology")
		}
	})
}

// Topology and what was handed out outlive the hub; sessions do not.
func TestTopologyOutlivesTheHub(t *testing.T) {
	st := mem.New()
	bubble(t, hub.Config{Store: st, Limits: limitless(), Workers: 3}, func(t *testing.T, p *platform) {
		p.dynamic(true)
		g, d := p.newGateway("gw-1"), p.register("sub-1")
		gw := p.connect(g)
		gw.wantCode(200, "thing/sub/register", []any{nameEntry(d.ID)})
		gw.join(d)
		if err := p.hub.Close(); err != nil {
			t.Fatal(err)
		}
		limits := hub.NoLimits()
		limits.SubDevices = 1
		again, err := hub.Open(t.Context(), hub.Config{Store: st, Limits: &limits, Workers: 5})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		p.hub = again
		presence, err := p.hub.Presence(t.Context(), d.ID)
		if err != nil || presence.Last.Online || presence.Last.Cause != hal.CauseServerStop || presence.Last.Via != gw.id {
			t.Errorf("presence after the restart: %+v, %v", presence, err)
		}
		gw = p.connect(g)
		gw.wantCode(6289, "thing/sub/register", []any{nameEntry(d.ID)})
		if r := gw.wantCode(200, "thing/topo/get", map[string]any{}); !strings.Contains(r.raw, `"sub-1"`) {
			t.Errorf("topology %s", r.raw)
		}
		gw.wantCode(6400, topoAdd, []any{signedSub(p.register("sub-2"))})
		gw.wantCode(200, topoAdd, []any{signedSub(d)}) // it is bound already
		gw.wantCode(200, subLogin, signedSub(d))
		if r := gw.as(d.ID).post("thing/event/property/post", `{"id":"1","params":{"Power":1}}`); r.Code != 200 {
			t.Errorf("post: %s", r.raw)
		}
		gw.wantCode(200, "thing/topo/delete", []any{nameEntry(d.ID)})
		gw.wantCode(200, topoAdd, []any{signedSub(p.register("sub-2"))})
	})
}
