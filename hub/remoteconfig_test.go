// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

func TestConfigWay(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		// Blanks and a numeric id as old devices send them.
		const get = `{"id" : 7,"version":"1.0","params":{"configScope":"product","getType":"file"},"method":"thing.config.get"}`
		if r := c.post("thing/config/get", get); r.Code != 6710 {
			t.Errorf("none: %s", r.raw)
		}
		content := `{"interval": 5}`
		v1, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: []byte(content)}, 0)
		if err != nil || v1.Version != 1 {
			t.Fatal(v1, err)
		}
		r := c.post("thing/config/get", get)
		w, err := ota.ParseConfig(r.Data)
		if err != nil || r.ID != "7" || w.ID != v1.ID || w.Size != 15 || !strings.Contains(r.raw, `"signMethod":"Sha256"`) || !strings.Contains(r.raw, `"getType":"file"`) {
			t.Errorf("%s: %v", r.raw, err)
		}
		code, body := p.fetch(w.URL)
		if code != 200 || body != content || w.Verify([]byte(body)) != nil {
			t.Errorf("download: %d %q", code, body)
		}
		r = c.post("thing/config/get", strings.Replace(get, "file", "content", 1))
		if w, err := ota.ParseConfig(r.Data); err != nil || string(w.Content) != `{"interval":5}` && string(w.Content) != content {
			t.Errorf("inline: %s %v", r.raw, err)
		}
		// A device's own goes before, and its link is not another's.
		own, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Device: "lamp-1", Content: []byte(`{"own":1}`)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if w, _ := ota.ParseConfig(c.post("thing/config/get", get).Data); w.ID != own.ID {
			t.Errorf("own: %+v", w)
		}
		if n, err := p.hub.PushConfig(t.Context(), p.product.Key, ""); n != 1 || err != nil {
			t.Errorf("pushed to %d, %v", n, err)
		}
		synctest.Wait()
		pushed := c.take()
		if len(pushed) != 1 || pushed[0].Message.Topic != c.sys("thing/config/push") || !strings.Contains(string(pushed[0].Message.Payload), own.ID) ||
			!strings.Contains(string(pushed[0].Message.Payload), `"method":"thing.config.push"`) {
			t.Fatalf("push %v", pushed)
		}
		if _, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key}, 1); err != nil {
			t.Fatal(err)
		}
		other := p.connect(p.register("lamp-2"))
		if r := other.post("thing/config/get", get); r.Code != 6713 {
			t.Errorf("turned off: %s", r.raw)
		}
		back, err := p.hub.RollbackConfig(t.Context(), p.product.Key, "", 1)
		if err != nil || back.Version != 3 || string(back.Content) != content {
			t.Errorf("rolled back: %+v %v", back, err)
		}
		var versions []int
		for c, err := range p.hub.ConfigHistory(t.Context(), p.product.Key, "") {
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, c.Version)
		}
		if !slices.Equal(versions, []int{1, 2, 3}) {
			t.Errorf("history %v", versions)
		}
	})
}

func TestConfigRefuses(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		set := func(c hub.RemoteConfig, v int) error { _, err := p.hub.SetConfig(t.Context(), c, v); return err }
		pk := p.product.Key
		for _, c := range []struct {
			what string
			got  error
			want error
		}{
			{"no JSON", set(hub.RemoteConfig{Product: pk, Content: []byte(`{`)}, 0), hub.ErrInvalid},
			{"64 KB and more", set(hub.RemoteConfig{Product: pk, Content: []byte(`"` + strings.Repeat("x", 64<<10) + `"`)}, 0), hub.ErrTooLarge},
			{"unknown product", set(hub.RemoteConfig{Product: "a1None00001"}, 0), hub.ErrUnknownProduct},
			{"unknown device", set(hub.RemoteConfig{Product: pk, Device: "nobody"}, 0), hub.ErrUnknownDevice},
			{"wrong version", set(hub.RemoteConfig{Product: pk, Content: []byte(`{}`)}, 9), hub.ErrConflict},
			{"exactly 64 KB", set(hub.RemoteConfig{Product: pk, Content: []byte(`"` + strings.Repeat("x", 64<<10-2) + `"`)}, 0), nil},
			{"no such version", func() error { _, err := p.hub.RollbackConfig(t.Context(), pk, "", 7); return err }(), hub.ErrUnknownConfig},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
			}
		}
	})
}

// Row 38: an answer to a push that is no JSON, as old devices send it on failure,
// is passed over; the connection stays, and a readable one counts.
func TestRow38UnparsablePushReply(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		if _, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: []byte(`{"a":1}`)}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.PushConfig(t.Context(), p.product.Key, "lamp-1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		push := c.take()
		var call struct{ ID string }
		if len(push) != 1 || json.Unmarshal(push[0].Message.Payload, &call) != nil {
			t.Fatalf("push %v", push)
		}
		if _, err := c.publish(c.sys("thing/config/push_reply"), `"id":"`+call.ID+`","code":400,"data":{}`, 1); !isRejected(err) {
			t.Errorf("unparsable: %v", err)
		}
		if _, err := c.publish(c.sys("thing/config/push_reply"), `{"id":"`+call.ID+`","code":200,"data":{}}`, 1); err != nil {
			t.Errorf("readable: %v", err)
		}
		c.post("thing/event/property/post", `{"id":"1","params":{}}`)
		entry := p.expectLog(hub.OpCheckPayload, hub.CauseNotJSON)
		if !strings.HasSuffix(entry.Topic, "push_reply") {
			t.Errorf("log %+v", entry)
		}
	})
}

// A pushed configuration waits for one device that is away; only the newest.
func TestConfigPushWaits(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		dev := p.register("lamp-1")
		var last hub.RemoteConfig
		for i := range 3 {
			var err error
			last, err = p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: fmt.Appendf(nil, `{"a":%d}`, i)}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.hub.PushConfig(t.Context(), p.product.Key, "lamp-1"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Hour) // longer than links are good
		c := p.connect(dev)
		synctest.Wait()
		got := c.take()
		if len(got) != 1 || !strings.Contains(string(got[0].Message.Payload), last.ID) {
			t.Fatalf("%d pushes: %v", len(got), got)
		}
		var push struct{ Params json.RawMessage }
		if err := json.Unmarshal(got[0].Message.Payload, &push); err != nil {
			t.Fatal(err)
		}
		w, err := ota.ParseConfig(push.Params)
		if code, body := p.fetch(w.URL); err != nil || code != 200 || w.Verify([]byte(body)) != nil {
			t.Errorf("pushed link: %d %q, %v", code, body, err)
		}
	})
}

// Without a base URL configurations go inline and firmware over MQTT only.
func TestOTAWithoutURL(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		if p.hub.Downloads() != nil {
			t.Error("a handler without a URL")
		}
		if _, err := p.hub.UploadPackage(t.Context(), ota.Package{Product: p.product.Key, Version: "1"}, strings.NewReader("x")); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("upload: %v", err)
		}
		c := p.connect(p.register("lamp-1"))
		if _, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: []byte(`{"a":1}`)}, 0); err != nil {
			t.Fatal(err)
		}
		r := c.post("thing/config/get", `{"id":"1","params":{"configScope":"product","getType":"file"}}`)
		if w, err := ota.ParseConfig(r.Data); err != nil || w.Content == nil {
			t.Errorf("%s: %v", r.raw, err)
		}
	})
}
