// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// withDownloads are the arguments of a hubd whose links work here. Links of real
// platforms have no port.
func withDownloads(t *testing.T) []string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	return []string{"-any", addr, "-downloads", "http://" + addr}
}

// upload uploads a firmware as an application does: the file as the body.
func (h *hubd) upload(t *testing.T, version, content string) (id string) {
	t.Helper()
	q := url.Values{"productKey": {productKey}, "version": {version}}
	req, err := http.NewRequestWithContext(t.Context(), "POST", h.base+"/packages?"+q.Encode(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var p struct{ ID string }
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", res.Status, err)
	}
	return p.ID
}

// rollout starts a campaign to the lamp and returns its id.
func (h *hubd) rollout(t *testing.T, version, content string) string {
	t.Helper()
	var c struct{ ID string }
	h.do(t, "POST", "/campaigns", object{"productKey": productKey, "packages": []string{h.upload(t, version, content)}, "devices": []string{"lamp"}}, &c)
	h.do(t, "POST", "/campaigns/"+c.ID+"/control", object{"action": "start"}, &object{})
	return c.ID
}

func (h *hubd) jobState(t *testing.T, campaign string) string {
	t.Helper()
	var jobs struct{ Items []struct{ State string } }
	h.do(t, "GET", "/campaigns/"+campaign+"/jobs", nil, &jobs)
	if len(jobs.Items) != 1 {
		t.Fatalf("%d jobs", len(jobs.Items))
	}
	return jobs.Items[0].State
}

// upgrade is the notice as devices read it: code is text, id a number.
type upgrade struct {
	ID      *uint32
	Code    string
	Message string
	Data    struct {
		Size                                int
		Version, URL, MD5, Sign, SignMethod string
	}
}

func checkUpgrade(t *testing.T, text, version string) (u upgrade) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if u.ID == nil || u.Code != "1000" || u.Message != "success" || u.Data.Version != version || u.Data.SignMethod != "Md5" || u.Data.Sign != u.Data.MD5 {
		t.Fatalf("notice %s", text)
	}
	return u
}

// fetch downloads with the ranges a C SDK asks for, and checks the digest.
func fetch(t *testing.T, u upgrade) {
	t.Helper()
	var got []byte
	for _, span := range []string{"bytes=0-4096", "bytes=4097-"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", u.Data.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", span)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusPartialContent || !strings.HasSuffix(res.Header.Get("Content-Range"), fmt.Sprintf("/%d", u.Data.Size)) {
			t.Fatalf("%s: %s %s, %v", span, res.Status, res.Header.Get("Content-Range"), err)
		}
		got = append(got, part...)
	}
	if sum := md5.Sum(got); len(got) != u.Data.Size || hex.EncodeToString(sum[:]) != u.Data.MD5 {
		t.Errorf("%d bytes of %d, another digest", len(got), u.Data.Size)
	}
}

// TestSDKFirmware takes both SDKs of npm through an update. They have no API for
// it: their users publish and subscribe.
func TestSDKFirmware(t *testing.T) {
	for _, c := range clients[:2] {
		t.Run(c.name, func(t *testing.T) {
			c.program(t)
			h := startHubd(t, withDownloads(t)...)
			p := c.start(t, h, "tcp")
			p.want(t, "online")
			topic := func(kind string) string { return "/ota/device/" + kind + "/" + lamp.id.String() }
			up := func(kind, payload string) {
				t.Helper()
				p.order(t, object{"do": "publish", "topic": topic(kind), "payload": payload})
			}
			for _, kind := range []string{"upgrade", "request"} {
				p.order(t, object{"do": "subscribe", "topic": topic(kind)})
				if e := p.want(t, "subscribed"); e.Code > 1 {
					t.Fatalf("%s: %+v", kind, e)
				}
			}
			up("inform", `{"id":1,"params":{"version":"1.0"}}`)
			campaign := h.rollout(t, "2.0", strings.Repeat("firmware 2.0\n", 1000))
			e := p.want(t, "message")
			if e.Topic != topic("upgrade") {
				t.Fatalf("%s %s", e.Topic, e.Payload)
			}
			fetch(t, checkUpgrade(t, e.Payload, "2.0"))
			up("request", `{"id":"0","params":{"version":"1.0"}}`)
			if e = p.want(t, "message"); e.Topic != topic("request") { // the answer, not the request
				t.Fatalf("%s %s", e.Topic, e.Payload)
			}
			checkUpgrade(t, e.Payload, "2.0")
			up("progress", `{"id":2,"params":{"step":"100","desc":""}}`)
			eventually(t, "the platform hears of it", func() bool { return h.jobState(t, campaign) == "installing" })
			up("inform", `{"id":3,"params":{"version":"2.0"}}`)
			eventually(t, "the update is done", func() bool { return h.jobState(t, campaign) == "succeeded" })
		})
	}
}

// remoteConfig is what devices are told of a configuration.
type remoteConfig struct {
	ConfigID   string
	ConfigSize int
	Sign       string
	SignMethod string
	URL        string
	GetType    string
}

func checkConfig(t *testing.T, c remoteConfig, content string) {
	t.Helper()
	res, err := http.Get(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	sum := sha256.Sum256(got)
	if err != nil || string(got) != content || c.ConfigSize != len(content) || c.SignMethod != "Sha256" || c.Sign != hex.EncodeToString(sum[:]) ||
		c.GetType != "file" || c.ConfigID == "" {
		t.Errorf("configuration %+v: %q, %v", c, got, err)
	}
}

func (h *hubd) configure(t *testing.T, value int) (content string) {
	t.Helper()
	h.do(t, "PUT", "/products/"+productKey+"/config", object{"content": object{"interval": value}}, &object{})
	return fmt.Sprintf(`{"interval":%d}`, value)
}

func (h *hubd) pushConfig(t *testing.T) {
	t.Helper()
	var n struct{ Devices int }
	h.do(t, "POST", "/products/"+productKey+"/config/push", object{}, &n)
	if n.Devices != 1 {
		t.Errorf("pushed to %d devices", n.Devices)
	}
}

// TestSDKConfig has both SDKs of npm fetch a configuration with getConfig, and
// hear a pushed one: 1.2.8 by onConfig, the older, which has none, by subscribing.
func TestSDKConfig(t *testing.T) {
	for i, c := range clients[:2] {
		t.Run(c.name, func(t *testing.T) {
			c.program(t)
			h := startHubd(t, withDownloads(t)...)
			p := c.start(t, h, "tcp")
			p.want(t, "online")
			if i == 1 { // 1.2.8 subscribes by itself
				p.order(t, object{"do": "subscribe", "topic": lamp.sys("thing/config/push")})
				p.want(t, "subscribed")
			}
			content := h.configure(t, 5)
			a := p.ask(t, object{"do": "config"})
			wantOK(t, "answer to getConfig", a)
			var got remoteConfig
			if err := json.Unmarshal(a.Data, &got); err != nil {
				t.Fatal(err)
			}
			checkConfig(t, got, content)
			content = h.configure(t, 6)
			h.pushConfig(t)
			var push struct{ Params remoteConfig }
			if e := p.want(t, "config"); json.Unmarshal(e.Body, &push) != nil {
				t.Fatalf("push %s", e.Body)
			}
			checkConfig(t, push.Params, content)
		})
	}
}

// TestThingsGoConfig fetches and hears a configuration with the bytes of that
// library.
func TestThingsGoConfig(t *testing.T) {
	h := startHubd(t, withDownloads(t)...)
	c := dialThingsGo(t, h, lamp)
	for _, path := range []string{"thing/config/get_reply", "thing/config/push"} {
		c.wait(t, c.Subscribe(lamp.sys(path), 1, nil))
	}
	content := h.configure(t, 7)
	c.request(t, "thing/config/get", object{"configScope": "product", "getType": "file"})
	var answer struct {
		reply
		Data   remoteConfig
		Params remoteConfig
	}
	if m := c.next(t); json.Unmarshal(m.Payload(), &answer) != nil || answer.Code != 200 || answer.ID != c.id {
		t.Fatalf("%s %s", m.Topic(), m.Payload())
	}
	checkConfig(t, answer.Data, content)
	content = h.configure(t, 8)
	h.pushConfig(t)
	m := c.next(t)
	if err := json.Unmarshal(m.Payload(), &answer); err != nil || m.Topic() != lamp.sys("thing/config/push") {
		t.Fatalf("%s %s: %v", m.Topic(), m.Payload(), err)
	}
	checkConfig(t, answer.Params, content)
	c.wait(t, c.Publish(lamp.sys("thing/config/push_reply"), 1, false, fmt.Sprintf(`{"id":%d,"code":200,"data":{}}`, answer.ID)))
}

// TestRecordedFirmwareBytes sends what the C SDKs were recorded to send (wire
// facts sections 13.1 and 24): the inform right after the login, the request on
// the topic it also subscribed to, the newer SDK's request with its blanks, the
// series of steps, and steps while it fetches a configuration.
func TestRecordedFirmwareBytes(t *testing.T) {
	h := startHubd(t, withDownloads(t)...)
	c := dialThingsGo(t, h, lamp)
	topic := func(kind string) string { return "/ota/device/" + kind + "/" + lamp.id.String() }
	send := func(name, payload string) { t.Helper(); c.wait(t, c.Publish(name, 1, false, payload)) }
	send(topic("inform"), `{"id":"1","params":{"version":"app-1.0.0-20180101.1000"}}`)
	send(topic("progress"), `{"id":0,"params":{"step":"0","desc":"Enter in downloading state"}}`) // of a configuration
	for _, name := range []string{topic("upgrade"), topic("request"), lamp.sys("thing/ota/firmware/get_reply")} {
		c.wait(t, c.Subscribe(name, 1, nil))
	}
	campaign := h.rollout(t, "app-1.0.1-20180101.1001", strings.Repeat("x", 10_000))
	for _, ask := range []struct{ name, payload, answer string }{
		{"", "", topic("upgrade")},
		{topic("request"), `{"id":"0","params":{"version":"app-1.0.0-20180101.1000"}}`, topic("request")},
	} {
		if ask.name != "" {
			send(ask.name, ask.payload)
		}
		m := c.next(t)
		if m.Topic() != ask.answer {
			t.Fatalf("%s %s, want %s", m.Topic(), m.Payload(), ask.answer)
		}
		fetch(t, checkUpgrade(t, string(m.Payload()), "app-1.0.1-20180101.1001"))
	}
	send(lamp.sys("thing/ota/firmware/get"), `{"id":12, "params":{}}`)
	var got struct {
		ID   string
		Code int
		Data struct {
			Size                           int
			Version, URL, Sign, SignMethod string
		}
	}
	if m := c.next(t); json.Unmarshal(m.Payload(), &got) != nil || got.ID != "12" || got.Code != 200 || got.Data.Size != 10_000 || got.Data.Sign == "" {
		t.Errorf("%s %s", m.Topic(), m.Payload())
	}
	for _, step := range []string{"0", "25", "50", "75", "100"} {
		send(topic("progress"), fmt.Sprintf(`{"id":2, "params":{"step":%q,"desc":""}}`, step))
	}
	if s := h.jobState(t, campaign); s != "installing" {
		t.Errorf("after the steps: %s", s)
	}
	send(topic("inform"), `{"id":10, "params":{"version":"app-1.0.1-20180101.1001"}}`)
	if s := h.jobState(t, campaign); s != "succeeded" {
		t.Errorf("in the end: %s", s)
	}
}
