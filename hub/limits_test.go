// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
)

const onePost = `{"id":"1","params":{"a":1}}`

func TestUplinkQoS0BeyondTheRateIsDropped(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		dropped := 0
		for range 40 {
			if _, err := c.publish(c.sys("thing/event/property/post"), onePost, 0); isRejected(err) {
				dropped++
			}
		}
		if dropped != 10 {
			t.Errorf("%d of 40 dropped, want 10", dropped)
		}
		p.expectLog(hub.OpPublish, hub.CauseRateLimit) // one entry, not ten
		time.Sleep(time.Second)
		if _, err := c.publish(c.sys("thing/event/property/post"), onePost, 0); err != nil {
			t.Errorf("a second later: %v", err)
		}
	})
}

func TestUplinkQoS1BeyondTheRateWaits(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		start := time.Now()
		for range 30 {
			if _, err := c.publish(c.sys("thing/event/property/post"), onePost, 1); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("30 posts at 10 a second with a burst of 10 took %v, want 2s", took)
		}
	})
}

func TestConnectionBytes(t *testing.T) {
	limits := hub.NoLimits()
	limits.ConnectionBytes = 1 << 20
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		start := time.Now()
		for range 16 { // 3 MB of 1 MB a second
			if _, err := c.publish("/"+c.id.String()+"/user/update", strings.Repeat("x", 192<<10), 1); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Seconds(); took < 1.9 || took > 2.1 {
			t.Errorf("3 MB took %.2fs, want 2", took)
		}
	})
}

func TestHubRates(t *testing.T) {
	limits := hub.NoLimits()
	limits.Uplinks, limits.UplinkQoS0, limits.Downlinks, limits.Connects = 3, 1000, 2, 3
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		a, b := p.connect(p.register("lamp-1")), p.connect(p.register("lamp-2"))
		for i := range 4 {
			c := []*client{a, b}[i%2]
			_, err := c.publish(c.sys("thing/event/property/post"), onePost, 0)
			if isRejected(err) != (i == 3) {
				t.Errorf("uplink %d: %v", i, err)
			}
		}
		a.subscribe("/" + a.id.String() + "/user/get")
		for i := range 3 {
			_, err := p.hub.Publish(t.Context(), a.id, "/"+a.id.String()+"/user/get", []byte("x"), hub.SendOptions{})
			if errors.Is(err, hub.ErrThrottled) != (i == 2) {
				t.Errorf("downlink %d: %v", i, err)
			}
		}
		if _, err := p.login(p.register("lamp-3"), loginOptions{}); err != nil {
			t.Errorf("third login: %v", err)
		}
		if _, err := p.login(p.register("lamp-4"), loginOptions{}); reasonOf(err) != hal.Unavailable {
			t.Errorf("fourth login in a second: %v", err)
		}
	})
}

func TestDownlinkRateOfADevice(t *testing.T) {
	limits := hub.NoLimits()
	limits.Downlink = 5
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, nil)
		for i := range 6 {
			_, err := p.hub.Publish(t.Context(), c.id, name, []byte("x"), hub.SendOptions{})
			if errors.Is(err, hub.ErrThrottled) != (i == 5) {
				t.Errorf("QoS 0 message %d: %v", i, err)
			}
		}
		p.expectLog(hub.OpAPIPublish, hub.CauseRateLimit)
		c.take()
		time.Sleep(time.Second)
		start := time.Now()
		for i := range 15 { // QoS 1 waits instead
			if _, err := p.hub.Publish(t.Context(), c.id, name, fmt.Append(nil, i), hub.SendOptions{QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		for n := 0; n < 15; n += len(c.take()) {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start).Seconds(); took < 1.8 || took > 2.3 {
			t.Errorf("15 messages at 5 a second took %.2fs, want 2", took)
		}
	})
}

func TestSubscriptionLimits(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, err := p.login(p.register("lamp-1"), loginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var nine []string
		for i := range 9 {
			nine = append(nine, c.sys(fmt.Sprintf("thing/service/s%d", i)))
		}
		grants := c.subscribe(nine...)
		for i, g := range grants {
			if (g == hal.Refused) != (i == 8) {
				t.Errorf("filter %d of one request: %#x", i, g)
			}
		}
		p.expectLog(hub.OpSubscribe, hub.CauseTooManyFilters)
		for i := range 93 {
			g := c.subscribe(c.sys(fmt.Sprintf("thing/service/t%d", i)))[0]
			if (g == hal.Refused) != (8+i >= 100) {
				t.Errorf("filter %d: %#x", 8+i, g)
			}
		}
		if g := c.subscribe(c.sys("thing/service/s0"))[0]; g == hal.Refused {
			t.Error("repeating a filter counts twice")
		}
		if g := c.subscribe("/sys/other/device/#")[0]; g != hal.Refused {
			t.Error("a foreign filter was granted")
		}
	})
}

func TestQoS2IsGrantedOne(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, err := p.login(p.register("lamp-1"), loginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			g := c.session.(hal.Subscriber).Subscribe(t.Context(), []hal.Filter{{Topic: c.sys("#"), QoS: 2}})
			if g[0] != 1 {
				t.Errorf("granted %#x", g[0])
			}
		}
		p.expectLog(hub.OpSubscribe, hub.CauseIgnored) // once
	})
}

func TestOverlappingFiltersGiveOneDelivery(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, err := p.login(p.register("lamp-1"), loginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c.subscribe(c.sys("thing/event/property/post_reply"), c.sys("thing/event/+/post_reply"), c.sys("#"))
		a, err := c.publish(c.sys("thing/event/property/post"), onePost, 0)
		if err != nil || len(a) != 1 {
			t.Errorf("%d answers, %v", len(a), err)
		}
	})
}

func TestRegistryLimits(t *testing.T) {
	limits := hub.NoLimits()
	limits.Products, limits.DevicesPerProduct, limits.Devices, limits.Tags, limits.TopicClasses = 2, 2, 3, 1, 7
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		create := func(key string) error {
			_, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: key})
			return err
		}
		register := func(key, name string) error {
			_, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: key, Name: name}})
			return err
		}
		if err := create("b1"); err != nil {
			t.Fatal(err)
		}
		if err := create("b2"); !errors.Is(err, hub.ErrTooMany) {
			t.Errorf("third product: %v", err)
		}
		for i, tt := range []struct {
			key, name string
			full      bool
		}{{"b1", "dev1", false}, {"b1", "dev2", false}, {"b1", "dev3", true}, {"a1TestPk0001", "dev1", false}, {"a1TestPk0001", "dev2", true}} {
			if err := register(tt.key, tt.name); errors.Is(err, hub.ErrTooMany) != tt.full {
				t.Errorf("device %d: %v", i, err)
			}
		}
		if err := p.hub.DeleteDevice(t.Context(), iot.DeviceID{Product: "b1", Name: "dev1"}); err != nil {
			t.Fatal(err)
		}
		if err := register("b1", "dev4"); err != nil {
			t.Errorf("after a delete: %v", err)
		}
		if _, err := p.hub.SetTags(t.Context(), iot.DeviceID{Product: "b1", Name: "dev4"}, map[string]string{"a": "1", "b": "2"}); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("two tags: %v", err)
		}
		if _, err := p.hub.UpdateProduct(t.Context(), "b1", func(pr *hub.Product) {
			pr.Topics = append(pr.Topics, classAll("user/a"), classAll("user/b"))
		}); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("eight classes: %v", err)
		}
		if err := p.hub.DeleteProduct(t.Context(), "b1"); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("product with devices: %v", err)
		}
	})
}

func TestRegisterAgain(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		again, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: d.ID})
		if err != nil || !again.Secret.Equal(d.Secret) || again.IotID != d.IotID {
			t.Errorf("again: %+v, %v", again, err)
		}
		other, err := p.hub.RotateSecret(t.Context(), d.ID, d.Secret)
		if err != nil || !other.Secret.Equal(d.Secret) {
			t.Errorf("rotate to a given secret: %v", err)
		}
		if other, err = p.hub.RotateSecret(t.Context(), d.ID, hub.Device{}.Secret); err != nil || other.Secret.Equal(d.Secret) {
			t.Errorf("rotate: %v", err)
		}
		if _, err := p.hub.RegisterDevice(t.Context(), d); !errors.Is(err, hub.ErrExists) {
			t.Errorf("with the old secret: %v", err)
		}
		if id, err := p.hub.Lookup(t.Context(), d.IotID); err != nil || id != d.ID {
			t.Errorf("lookup: %v, %v", id, err)
		}
		if _, err := p.login(d, loginOptions{}); reasonOf(err) != hal.BadCredentials {
			t.Errorf("login with the old secret: %v", err)
		}
		var names []string
		p.register("lamp-2")
		for d, err := range p.hub.Devices(t.Context(), p.product.Key, "") {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, d.ID.Name)
		}
		if got := strings.Join(names, " "); got != "lamp-1 lamp-2" {
			t.Errorf("devices %q", got)
		}
	})
}

// TestLogRows provokes every row of the log service (wire facts section 20) that
// MQTT, custom topics and calls can meet.
func TestLogRows(t *testing.T) {
	rows := []struct {
		name  string
		op    hub.Operation
		cause hub.LogCause
		do    func(t *testing.T, p *platform)
	}{
		{"kicked by the same device", hub.OpDisconnect, "kicked", func(t *testing.T, p *platform) {
			d := p.register("lamp-1")
			p.connect(d)
			p.connect(d)
		}},
		{"connection reset by peer", hub.OpDisconnect, "reset", closeWith(hal.CauseReset)},
		{"connection occurs exception", hub.OpDisconnect, "protocol", closeWith(hal.CauseProtocol)},
		{"device disconnect", hub.OpDisconnect, "client", closeWith(hal.CauseClient)},
		{"keepalive timeout", hub.OpDisconnect, "keepalive", closeWith(hal.CauseKeepAlive)},
		{"publish: rate limit", hub.OpPublish, hub.CauseRateLimit, func(t *testing.T, p *platform) {
			c := p.connect(p.register("lamp-1"))
			for range 31 {
				c.publish(c.sys("thing/event/property/post"), onePost, 0)
			}
		}},
		{"publish: no authorization", hub.OpPublish, hub.CauseNoAuthorization, func(t *testing.T, p *platform) {
			c := p.connect(p.register("lamp-1"))
			c.publish("/sys/a/b/thing/event/property/post", onePost, 0)
		}},
		{"payload is not json", hub.OpCheckPayload, hub.CauseNotJSON, func(t *testing.T, p *platform) {
			c := p.connect(p.register("lamp-1"))
			c.publish(c.sys("thing/event/property/post"), "x", 0)
		}},
		{"downlink: no authorization", hub.OpAPIPublish, hub.CauseNoAuthorization, func(t *testing.T, p *platform) {
			c := p.connect(p.register("lamp-1"))
			_, _ = p.hub.Publish(t.Context(), c.id, "/a/b/user/get", nil, hub.SendOptions{})
		}},
		{"downlink: cannot publish", hub.OpSend, hub.CauseCannotPublish, func(t *testing.T, p *platform) {
			c, name := custom(t, p, &link{fail: hal.ErrFull})
			_, _ = p.hub.Publish(t.Context(), c.id, name, nil, hub.SendOptions{QoS: 1})
		}},
		{"downlink: cannot receive", hub.OpAPIPublish, hub.CauseCannotReceive, func(t *testing.T, p *platform) {
			d := p.register("lamp-1")
			_, _ = p.hub.Publish(t.Context(), d.ID, "/"+d.ID.String()+"/user/get", nil, hub.SendOptions{})
		}},
		{"rrpc: cannot receive", hub.OpRRPC, hub.CauseCannotReceive, func(t *testing.T, p *platform) {
			_, _ = p.hub.RRPC(t.Context(), p.register("lamp-1").ID, nil, "")
		}},
		{"rrpc: response timeout", hub.OpRRPC, hub.CauseTimeout, func(t *testing.T, p *platform) {
			_, _ = p.hub.RRPC(t.Context(), p.connect(p.register("lamp-1")).id, nil, "")
		}},
		{"rrpc finished", hub.OpRRPCFinished, "", func(t *testing.T, p *platform) {
			c := p.connect(p.register("lamp-1"))
			c.answer(200, "{}")
			_, _ = p.hub.RRPC(t.Context(), c.id, []byte("{}"), "")
		}},
		{"offline message", hub.OpSendOffline, "", func(t *testing.T, p *platform) {
			c, name := custom(t, p, nil)
			c.goodbye()
			_, _ = p.hub.Publish(t.Context(), c.id, name, nil, hub.SendOptions{QoS: 1})
			_, _ = p.login(hub.Device{ID: c.id, Secret: secretOf(t, p, c.id)}, loginOptions{})
		}},
		{"publish to device", hub.OpSend, "", func(t *testing.T, p *platform) {
			c, name := custom(t, p, nil)
			_, _ = p.hub.Publish(t.Context(), c.id, name, nil, hub.SendOptions{QoS: 1})
		}},
		{"publish: success", hub.OpPublish, "", func(t *testing.T, p *platform) {
			p.connect(p.register("lamp-1")).post("thing/event/property/post", onePost)
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
				row.do(t, p)
				synctest.Wait()
				p.expectLog(row.op, row.cause)
			})
		})
	}
}

func closeWith(cause hal.Cause) func(*testing.T, *platform) {
	return func(_ *testing.T, p *platform) { p.connect(p.register("lamp-1")).session.Close(cause) }
}

type sinkFunc func(hub.LogEntry)

func (f sinkFunc) Log(e hub.LogEntry) { f(e) }

func TestOwnSinkSeesEverything(t *testing.T) {
	entries := make(chan hub.LogEntry, 100)
	bubble(t, hub.Config{LogSink: sinkFunc(func(e hub.LogEntry) { entries <- e })}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		c.post("thing/event/property/post", onePost)
		synctest.Wait()
		first, second := <-entries, <-entries
		if first.Operation != hub.OpConnect || second.Operation != hub.OpPublish || second.MessageID == 0 || second.Topic != c.sys("thing/event/property/post") {
			t.Errorf("entries %+v, %+v", first, second)
		}
	})
}
