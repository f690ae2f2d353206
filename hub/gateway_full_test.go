// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/bolt"
)

const fullGateway = 1500

// crowd opens a hub on a file with a gateway and as many sub-devices as it may
// have, bound and logged out.
func crowd(tb *testing.T) (*platform, *client, []hub.Device) {
	tb.Helper()
	st, err := bolt.Open(filepath.Join(tb.TempDir(), "hub.db"), bolt.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	limits := hub.NoLimits()
	limits.SubDevices, limits.SubDevicesOnline = fullGateway, fullGateway
	h, err := hub.Open(tb.Context(), hub.Config{Store: st, Limits: &limits})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close(); _ = st.Close() })
	p := &platform{t: tb, hub: h, store: st}
	p.product = hub.Product{Key: "a1TestPk0001"}
	for _, product := range []hub.Product{{Key: gatewayPK, Gateway: true}, {Key: p.product.Key}} {
		if _, err := h.CreateProduct(tb.Context(), product); err != nil {
			tb.Fatal(err)
		}
	}
	register := func(pk, name string) hub.Device {
		d, err := h.RegisterDevice(tb.Context(), hub.Device{ID: iot.DeviceID{Product: pk, Name: name}})
		if err != nil {
			tb.Fatal(err)
		}
		return d
	}
	g := register(gatewayPK, "gw-1")
	subs := make([]hub.Device, fullGateway)
	var ids []iot.DeviceID
	for i := range subs {
		subs[i] = register(p.product.Key, fmt.Sprintf("sub-%04d", i))
		ids = append(ids, subs[i].ID)
	}
	for i := 0; i < len(ids); i += 100 {
		if err := h.AddSubDevices(tb.Context(), g.ID, ids[i:i+100]...); err != nil {
			tb.Fatal(err)
		}
	}
	return p, p.connect(g), subs
}

func heap() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A gateway with 1,500 sub-devices: what a login costs in time and memory, what
// they can say, and what its loss leaves in their presence.
func TestFullGateway(t *testing.T) {
	p, gw, subs := crowd(t)
	before := heap()
	start := time.Now()
	for i := 0; i < len(subs); i += 5 {
		var list []any
		for _, d := range subs[i : i+5] {
			list = append(list, signedSub(d, auth.Param{Key: "cleanSession", Value: "true"}))
		}
		gw.wantCode(200, batchLogin, map[string]any{"signMethod": "hmacsha256", "deviceList": list})
	}
	login := time.Since(start)
	// The record in memory: the struct and what its names and secrets take.
	record := int64(hub.RecordSize + len(subs[0].IotID) + 2*len(subs[0].Secret.Reveal()) + len(gw.id.String()))
	for range p.hub.Logs(t.Context(), hub.LogQuery{}) { // asking waits until what was logged is stored
		break
	}
	each := int64(heap()-before) / fullGateway
	extra := p.register("one-more")
	gw.wantCode(6400, topoAdd, []any{signedSub(extra)})

	start = time.Now()
	done := make(chan error, fullGateway)
	for _, d := range subs {
		sub := gw.as(d.ID)
		m := iot.Message{Topic: sub.sys("thing/event/property/post"), Payload: []byte(`{"id":"1","params":{"Power":1}}`), QoS: 1}
		gw.session.Receive(t.Context(), m, func(_ []iot.Message, err error) { done <- err })
	}
	for range subs {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	posts := time.Since(start)

	gw.session.Close(hal.CauseReset)
	for end := time.Now().Add(time.Minute); presenceEvents(t, p, subs[len(subs)-1].ID) < 2 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the last to log in is the last to go
	}
	own, err := p.hub.Presence(t.Context(), gw.id)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(0)
	for _, d := range subs { // in the order of their logins
		n, before := 0, last
		for e, err := range p.hub.PresenceEvents(t.Context(), d.ID, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			if n == 2 && (e.Online || e.Cause != hal.CauseGateway || e.ViaSession != own.Last.Session || e.Session <= before || e.Time.Before(own.Last.Time)) {
				t.Errorf("%v went offline as %+v", d.ID, e)
			}
			last = max(last, e.Session)
		}
		if n != 2 {
			t.Errorf("%v has %d presence events", d.ID, n)
		}
	}
	t.Logf("%d sub-devices: logged in within %v, %d bytes of heap each beyond %d of its record, %.0f posts a second",
		fullGateway, login.Round(time.Millisecond), each-record, record, fullGateway/posts.Seconds())
	if each-record > 1024 {
		t.Errorf("a sub-device takes %d bytes of heap beyond its record, want at most 1024", each-record)
	}
}

// presenceEvents counts what is stored of a device coming and going.
func presenceEvents(t *testing.T, p *platform, id iot.DeviceID) (n int) {
	t.Helper()
	for _, err := range p.hub.PresenceEvents(t.Context(), id, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}
