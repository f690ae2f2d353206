// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/topic"
)

func classAll(suffix string) topic.Class {
	return topic.Class{Suffix: suffix, Operation: topic.All}
}

// answer plays a device that replies to what it is asked, once.
func (c *client) answer(code int, data string) {
	go func() {
		synctest.Wait()
		for _, d := range c.take() {
			m := d.Message
			var req struct{ ID string }
			_ = json.Unmarshal(m.Payload, &req)
			name := m.Topic + "_reply"
			if i := strings.Index(m.Topic, "/rrpc/request/"); i >= 0 {
				name = strings.Replace(m.Topic, "/rrpc/request/", "/rrpc/response/", 1)
			} else if strings.HasPrefix(m.Topic, "/ext/rrpc/") {
				name = m.Topic
			}
			c.publish(name, fmt.Sprintf(`{"id":%q,"code":%d,"data":%s}`, req.ID, code, data), 0)
		}
	}()
}

func TestSetProperties(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		c.answer(200, `{"ok":true}`)
		a, err := p.hub.SetProperties(t.Context(), c.id, map[string]any{"Power": 1}, hub.CallOptions{})
		if err != nil || a.Code != 200 || string(a.Data) != `{"ok":true}` || a.MessageID <= 0 {
			t.Errorf("answer %+v, %v", a, err)
		}
		synctest.Wait()
		d, err := p.hub.Downlink(t.Context(), c.id, a.MessageID)
		if err != nil || d.State != hub.Answered || d.Code != 200 {
			t.Errorf("downlink %+v, %v", d, err)
		}
		c.answer(100001, `{}`)
		_, err = p.hub.SetProperties(t.Context(), c.id, map[string]any{"Power": 2}, hub.CallOptions{})
		if e, ok := errors.AsType[*alink.CodeError](err); !ok || e.Code != 100001 {
			t.Errorf("refused by the device: %v", err)
		}
		_, err = p.hub.SetProperties(t.Context(), c.id, map[string]any{"Power": 3}, hub.CallOptions{})
		if !errors.Is(err, hub.ErrTimeout) {
			t.Errorf("no answer: %v", err)
		}
		p.expectLog(hub.OpSend, hub.CauseTimeout)
	})
}

func TestOnlyTheAskedDeviceAnswers(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		asked, other := p.connect(p.register("lamp-1")), p.connect(p.register("lamp-2"))
		go func() {
			synctest.Wait()
			for _, d := range asked.take() {
				var req struct{ ID string }
				_ = json.Unmarshal(d.Message.Payload, &req)
				other.publish(other.sys("thing/service/property/set_reply"), fmt.Sprintf(`{"id":%q,"code":200}`, req.ID), 0)
			}
		}()
		if _, err := p.hub.SetProperties(t.Context(), asked.id, map[string]any{"a": 1}, hub.CallOptions{}); !errors.Is(err, hub.ErrTimeout) {
			t.Errorf("another device answered: %v", err)
		}
	})
}

func TestServices(t *testing.T) {
	for _, tt := range []struct {
		name, topic string
		ext         int
		async       bool
	}{
		{"synchronous", "/sys/a1TestPk0001/lamp-1/rrpc/request/", 0, false},
		{"synchronous under ext", "/ext/rrpc/", 1, false},
		{"asynchronous", "/sys/a1TestPk0001/lamp-1/thing/service/reboot", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
				d := p.register("lamp-1")
				o := auth.MQTTOptions{ServerSubscribe: true}
				if tt.ext == 1 {
					o.Ext = 3
				}
				c, err := p.login(d, loginOptions{MQTTOptions: o})
				if err != nil {
					t.Fatal(err)
				}
				var heard string
				go func() {
					synctest.Wait()
					for _, d := range c.take() {
						heard = d.Message.Topic
						c.got = append(c.got, d)
					}
					c.answer(200, `{"Result":3}`)
				}()
				a, err := p.hub.InvokeService(t.Context(), d.ID, "reboot", map[string]any{"delay": 1}, hub.CallOptions{Async: tt.async})
				if err != nil || string(a.Data) != `{"Result":3}` {
					t.Errorf("answer %+v, %v", a, err)
				}
				if !strings.HasPrefix(heard, tt.topic) {
					t.Errorf("asked on %s, want %s", heard, tt.topic)
				}
			})
		})
	}
}

func TestRRPC(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		for _, custom := range []string{"", "/" + c.id.String() + "/user/get"} {
			c.answer(200, `{}`)
			got, err := p.hub.RRPC(t.Context(), c.id, []byte(`{"id":"x"}`), custom)
			if err != nil || string(got) != `{"id":"x","code":200,"data":{}}` {
				t.Errorf("custom topic %q: %s, %v", custom, got, err)
			}
		}
		if _, err := p.hub.RRPC(t.Context(), c.id, []byte(`x`), ""); !errors.Is(err, hub.ErrTimeout) {
			t.Errorf("no answer: %v", err)
		}
		p.expectLog(hub.OpRRPC, hub.CauseTimeout)
	})
}

func TestCallErrors(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		call := func(d hub.Device) error {
			_, err := p.hub.SetProperties(t.Context(), d.ID, map[string]any{"a": 1}, hub.CallOptions{})
			return err
		}
		d := p.register("lamp-1")
		if err := call(d); !errors.Is(err, hub.ErrNotActivated) {
			t.Errorf("never connected: %v", err)
		}
		c := p.connect(d)
		c.goodbye()
		if err := call(d); !errors.Is(err, hub.ErrOffline) {
			t.Errorf("offline: %v", err)
		}
		if _, err := p.login(d, loginOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := call(d); !errors.Is(err, hub.ErrNotSubscribed) {
			t.Errorf("not subscribed: %v", err)
		}
		if _, err := p.hub.DisableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if err := call(d); !errors.Is(err, hub.ErrDisabled) {
			t.Errorf("disabled: %v", err)
		}
		if err := call(hub.Device{ID: iot.DeviceID{Product: "a1TestPk0001", Name: "none"}}); !errors.Is(err, hub.ErrUnknownDevice) {
			t.Errorf("unknown: %v", err)
		}
	})
}

// custom is a device that subscribed to its custom topic in a lasting session.
func custom(t *testing.T, p *platform, l *link) (*client, string) {
	t.Helper()
	d, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: p.product.Key, Name: "lamp-1"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.login(d, loginOptions{link: l})
	if err != nil {
		t.Fatal(err)
	}
	name := "/" + d.ID.String() + "/user/get"
	if g := c.subscribe(name); g[0] != 1 {
		t.Fatalf("grant %v", g)
	}
	return c, name
}

func texts(got []hal.Delivery) string {
	var all []string
	for _, d := range got {
		dup := ""
		if d.Dup {
			dup = "!"
		}
		all = append(all, string(d.Message.Payload)+dup)
	}
	return strings.Join(all, " ")
}

func TestQueuedMessagesArriveInOrderOnce(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, nil)
		c.goodbye()
		var ids []int64
		for i := range 5 {
			id, err := p.hub.Publish(t.Context(), c.id, name, fmt.Append(nil, i), hub.SendOptions{QoS: 1})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if d, _ := p.hub.Downlink(t.Context(), c.id, ids[0]); d.State != hub.Queued {
			t.Errorf("state %q, want queued", d.State)
		}
		back, err := p.login(hub.Device{ID: c.id, Secret: secretOf(t, p, c.id)}, loginOptions{})
		if err != nil || !back.resumed {
			t.Fatalf("resumed %v, %v", back != nil && back.resumed, err)
		}
		synctest.Wait()
		if got := texts(back.take()); got != "0 1 2 3 4" {
			t.Errorf("got %q", got)
		}
		for _, id := range ids {
			if d, err := p.hub.Downlink(t.Context(), c.id, id); d.State != hub.Delivered {
				t.Errorf("state %q (%v), want delivered", d.State, err)
			}
		}
		back.goodbye()
		again, err := p.login(hub.Device{ID: c.id, Secret: secretOf(t, p, c.id)}, loginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := texts(again.take()); got != "" {
			t.Errorf("delivered again: %q", got)
		}
	})
}

func secretOf(t *testing.T, p *platform, id iot.DeviceID) auth.Secret {
	t.Helper()
	d, err := p.hub.Device(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d.Secret
}

func TestUnacknowledgedIsRepeatedWithItsID(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, &link{hold: true})
		for i := range 3 {
			if _, err := p.hub.Publish(t.Context(), c.id, name, fmt.Append(nil, i), hub.SendOptions{QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		first := c.take()
		if got := texts(first); got != "0 1 2" {
			t.Fatalf("first time %q", got)
		}
		c.ack()
		synctest.Wait()
		c.link.Close(hal.CauseReset)
		synctest.Wait()
		back, err := p.login(hub.Device{ID: c.id, Secret: secretOf(t, p, c.id)}, loginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		again := back.take()
		if got := texts(again); got != "1! 2!" {
			t.Fatalf("second time %q", got)
		}
		for i, d := range again {
			if d.PacketID != first[i+1].PacketID {
				t.Errorf("packet id %d, was %d", d.PacketID, first[i+1].PacketID)
			}
		}
	})
}

func TestQueueSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, hub.Config{})
		c, name := custom(t, p, &link{hold: true})
		for i := range 2 {
			if _, err := p.hub.Publish(t.Context(), c.id, name, fmt.Append(nil, i), hub.SendOptions{QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		first := c.take()
		if err := p.hub.Close(); err != nil {
			t.Fatal(err)
		}
		p = open(t, hub.Config{Store: p.store})
		defer p.hub.Close()
		if _, err := p.hub.Publish(t.Context(), c.id, name, []byte("new"), hub.SendOptions{QoS: 1}); err != nil {
			t.Fatal(err)
		}
		back, err := p.login(hub.Device{ID: c.id, Secret: secretOf(t, p, c.id)}, loginOptions{})
		if err != nil || !back.resumed {
			t.Fatalf("not resumed: %v", err)
		}
		synctest.Wait()
		again := back.take()
		if got := texts(again); got != "0! 1! new" {
			t.Errorf("after the restart %q", got)
		}
		if again[0].PacketID != first[0].PacketID {
			t.Errorf("packet id %d, was %d", again[0].PacketID, first[0].PacketID)
		}
	})
}

func TestWindowHoldsDownlinks(t *testing.T) {
	limits := hub.NoLimits()
	limits.Unacked = 3
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, &link{hold: true})
		for i := range 5 {
			if _, err := p.hub.Publish(t.Context(), c.id, name, fmt.Append(nil, i), hub.SendOptions{QoS: 1}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := texts(c.take()); got != "0 1 2" {
			t.Errorf("window: %q", got)
		}
		c.ack()
		synctest.Wait()
		if got := texts(c.take()); got != "3" {
			t.Errorf("after one acknowledgement: %q", got)
		}
	})
}

func TestCleanSessionForgets(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, nil)
		c.goodbye()
		id, err := p.hub.Publish(t.Context(), c.id, name, []byte("x"), hub.SendOptions{QoS: 1})
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := p.login(hub.Device{ID: c.id, Secret: secretOf(t, p, c.id)}, loginOptions{clean: true})
		if err != nil || fresh.resumed {
			t.Fatalf("resumed a clean session: %v", err)
		}
		fresh.subscribe(name)
		synctest.Wait()
		if got := texts(fresh.take()); got != "" {
			t.Errorf("got %q", got)
		}
		if d, _ := p.hub.Downlink(t.Context(), c.id, id); d.State != hub.Expired {
			t.Errorf("state %q, want expired", d.State)
		}
		fresh.goodbye()
		if _, err := p.hub.Publish(t.Context(), c.id, name, []byte("x"), hub.SendOptions{QoS: 1}); !errors.Is(err, hub.ErrOffline) {
			t.Errorf("no stored session: %v", err)
		}
	})
}

func TestQueuedCommandWaitsForTheDevice(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		p.connect(d).goodbye()
		a, err := p.hub.SetProperties(t.Context(), d.ID, map[string]any{"Power": 1}, hub.CallOptions{Queue: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * 24 * time.Hour)
		c := p.connect(d)
		c.answer(200, `{}`)
		time.Sleep(time.Second)
		got, err := p.hub.Downlink(t.Context(), d.ID, a.MessageID)
		if err != nil || got.State != hub.Answered {
			t.Errorf("state %q (%v), want answered", got.State, err)
		}
	})
}

func TestQueuedExpires(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, nil)
		c.goodbye()
		id, err := p.hub.Publish(t.Context(), c.id, name, []byte("x"), hub.SendOptions{QoS: 1})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(7*24*time.Hour + time.Second)
		back, err := p.login(hub.Device{ID: c.id, Secret: secretOf(t, p, c.id)}, loginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := texts(back.take()); got != "" {
			t.Errorf("got %q", got)
		}
		if d, _ := p.hub.Downlink(t.Context(), c.id, id); d.State != hub.Expired {
			t.Errorf("state %q, want expired", d.State)
		}
		p.expectLog(hub.OpSendOffline, hub.CauseExpired)
	})
}

func TestCancel(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, nil)
		c.goodbye()
		id, err := p.hub.Publish(t.Context(), c.id, name, []byte("x"), hub.SendOptions{QoS: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.hub.Cancel(t.Context(), c.id, id); err != nil {
			t.Fatal(err)
		}
		if err := p.hub.Cancel(t.Context(), c.id, id); !errors.Is(err, hub.ErrUnknownDownlink) {
			t.Errorf("again: %v", err)
		}
		if d, _ := p.hub.Downlink(t.Context(), c.id, id); d.State != hub.Cancelled {
			t.Errorf("state %q", d.State)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	limits := hub.NoLimits()
	limits.QueuedMessages = 2
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		c, name := custom(t, p, nil)
		c.goodbye()
		var err error
		for range 3 {
			_, err = p.hub.Publish(t.Context(), c.id, name, []byte("x"), hub.SendOptions{QoS: 1})
		}
		if !errors.Is(err, hub.ErrQueueFull) {
			t.Errorf("third: %v", err)
		}
		p.expectLog(hub.OpAPIPublish, hub.CauseCannotPublish)
	})
}

func TestPublishErrors(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		for _, tt := range []struct {
			name, topic string
			size        int
			want        error
		}{
			{"foreign", "/a1TestPk0001/other/user/get", 1, hub.ErrInvalid},
			{"class pub only", "/a1TestPk0001/lamp-1/user/update", 1, hub.ErrInvalid},
			{"wildcard", "/a1TestPk0001/lamp-1/#", 1, hub.ErrInvalid},
			{"too large", "/a1TestPk0001/lamp-1/user/get", 256<<10 + 1, hub.ErrTooLarge},
			{"not subscribed", "/a1TestPk0001/lamp-1/user/get", 1, hub.ErrNotSubscribed},
		} {
			_, err := p.hub.Publish(t.Context(), c.id, tt.topic, make([]byte, tt.size), hub.SendOptions{})
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

func TestBroadcast(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		a, b := p.connect(p.register("lamp-1")), p.connect(p.register("lamp-2"))
		if g := a.subscribe("/broadcast/a1TestPk0001/news"); g[0] != 1 {
			t.Fatalf("grant %v", g)
		}
		if _, n, err := p.hub.Broadcast(t.Context(), "a1TestPk0001", "news", []byte("hi")); err != nil || n != 1 {
			t.Errorf("to subscribers: %d, %v", n, err)
		}
		if _, _, err := p.hub.Broadcast(t.Context(), "a1TestPk0001", "", []byte("hi")); !errors.Is(err, hub.ErrThrottled) {
			t.Errorf("second in a second: %v", err)
		}
		time.Sleep(time.Second)
		if _, n, err := p.hub.Broadcast(t.Context(), "a1TestPk0001", "", []byte("all")); err != nil || n != 2 {
			t.Errorf("to all: %d, %v", n, err)
		}
		if got := texts(a.take()); got != "hi all" {
			t.Errorf("a heard %q", got)
		}
		if got := texts(b.take()); got != "all" {
			t.Errorf("b heard %q", got)
		}
	})
}

func TestSlowClientIsTriedAgain(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		l := &link{fail: hal.ErrFull}
		c, name := custom(t, p, l)
		if _, err := p.hub.Publish(t.Context(), c.id, name, []byte("x"), hub.SendOptions{QoS: 1}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.mu.Lock()
		l.fail = nil
		l.mu.Unlock()
		time.Sleep(2 * time.Second)
		if got := texts(c.take()); got != "x!" {
			t.Errorf("got %q", got)
		}
		p.expectLog(hub.OpSend, hub.CauseCannotPublish)
	})
}

func TestTraceIsLive(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		entries := p.hub.Trace(t.Context(), c.id)
		c.post("thing/event/property/post", `{"id":"1","params":{"a":1}}`)
		c.publish("/sys/x/y/thing/event/property/post", `{}`, 1)
		var ops []string
		for e := range entries {
			if ops = append(ops, string(e.Operation)+"/"+string(e.Status)); len(ops) == 2 {
				break
			}
		}
		if got := strings.Join(ops, " "); got != "device-publish/success device-publish/failure" {
			t.Errorf("trace %q", got)
		}
	})
}
