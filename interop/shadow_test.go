// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// document is a shadow as applications see it.
type document struct {
	State struct {
		Reported, Desired object
	}
	Version  int64
	Revision uint64
}

func (a api) shadow(t *testing.T, d device) (doc document) {
	t.Helper()
	a.do(t, "GET", devicePath(d)+"/shadow", nil, &doc)
	return doc
}

func (a api) desire(t *testing.T, d device, wish object) (doc document) {
	t.Helper()
	a.do(t, "PATCH", devicePath(d)+"/shadow", object{"desired": wish}, &doc)
	return doc
}

// shadowMessage is what a device hears on /shadow/get.
type shadowMessage struct {
	Method      string
	ClientToken string
	Version     int64
	Timestamp   int64
	Payload     struct {
		Status    string
		Version   int64
		Timestamp int64
		State     struct{ Reported, Desired object }
		Metadata  struct {
			Reported, Desired map[string]struct{ Timestamp int64 }
		}
		Content struct{ ErrorCode, ErrorMessage string }
	}
}

// heard returns what the client's callback for shadows got next.
func (p *peer) heard(t *testing.T) (m shadowMessage) {
	t.Helper()
	e := p.want(t, "shadow")
	if err := json.Unmarshal(e.Body, &m); err != nil {
		t.Fatalf("%s: %v", e.Body, err)
	}
	return m
}

func wantState(t *testing.T, what string, got, want object) {
	t.Helper()
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestSDKShadow has both SDKs of npm use their shadow: report, read, be told,
// follow, delete one and all. They send QoS 0 and the clock as version.
func TestSDKShadow(t *testing.T) {
	for _, c := range clients[:2] {
		for _, way := range []string{"tcp", "ws"} {
			t.Run(c.name+"/"+way, func(t *testing.T) {
				h := startHubd(t, "-limits", "default")
				p := c.start(t, h, way)
				p.want(t, "online")
				shadowConversation(t, h, p)
			})
		}
	}
}

func shadowConversation(t *testing.T, h *hubd, p *peer) {
	// The answer may only come once the SDK has subscribed, which it does by itself.
	p.order(t, object{"do": "reportShadow", "params": object{"hue": 12, "mode": "暖", "list": []int{1, 2}}})
	m := p.heard(t)
	began := time.Now().Add(-time.Minute).UnixMilli()
	if m.Method != "reply" || m.Payload.Status != "success" || m.Payload.Version < began {
		t.Fatalf("answer to a report: %+v", m)
	}
	reported := object{"hue": 12.0, "mode": "暖", "list": []any{1.0, 2.0}}
	doc := h.shadow(t, lamp)
	wantState(t, "reported at the platform", doc.State.Reported, reported)
	if doc.Version != m.Payload.Version {
		t.Errorf("version %d at the platform, %d at the device", doc.Version, m.Payload.Version)
	}

	wished := h.desire(t, lamp, object{"hue": 99})
	m = p.heard(t)
	if m.Method != "control" || m.Version != wished.Version || m.Payload.Metadata.Desired["hue"].Timestamp == 0 {
		t.Errorf("control %+v, want version %d", m, wished.Version)
	}
	wantState(t, "desired at the device", m.Payload.State.Desired, object{"hue": 99.0})

	p.order(t, object{"do": "readShadow"})
	m = p.heard(t)
	if m.Method != "reply" || m.Version != wished.Version || m.Payload.Version != wished.Version || m.Timestamp == 0 || m.Payload.Timestamp == 0 {
		t.Errorf("answer to a get: %+v", m)
	}
	wantState(t, "reported in the answer", m.Payload.State.Reported, reported)
	wantState(t, "desired in the answer", m.Payload.State.Desired, object{"hue": 99.0})

	// The SDKs cannot clear a wish: their users publish.
	p.order(t, object{"do": "publish", "topic": "/shadow/update/" + lamp.id.String(), "payload": `{"method":"update","state":{"reported":{"hue":99},"desired":"null"}}`})
	if m = p.heard(t); m.Payload.Status != "success" {
		t.Errorf("answer to following: %+v", m)
	}
	reported["hue"] = 99.0
	doc = h.shadow(t, lamp)
	wantState(t, "reported", doc.State.Reported, reported)
	wantState(t, "desired", doc.State.Desired, nil)

	for _, step := range []struct {
		keys any
		left object
	}{
		{"mode", object{"hue": 99.0, "list": []any{1.0, 2.0}}},
		{[]string{"hue", "list"}, nil},
	} {
		p.order(t, object{"do": "deleteShadow", "params": step.keys})
		if m = p.heard(t); m.Payload.Status != "success" {
			t.Errorf("answer to deleting %v: %+v", step.keys, m)
		}
		wantState(t, "reported", h.shadow(t, lamp).State.Reported, step.left)
	}
	p.order(t, object{"do": "reportShadow", "params": object{"a": 1}})
	p.heard(t)
	p.order(t, object{"do": "deleteShadow"})
	if m = p.heard(t); m.Payload.Status != "success" {
		t.Errorf("answer to deleting all: %+v", m)
	}
	wantState(t, "reported", h.shadow(t, lamp).State.Reported, nil)

	// An empty report is an error the callback hears.
	p.order(t, object{"do": "reportShadow", "params": object{}})
	if m = p.heard(t); m.Payload.Status != "error" || m.Payload.Content.ErrorCode != "405" {
		t.Errorf("answer to an empty report: %+v", m)
	}
}

// TestSDKShadowWhileAway wishes while the SDK is away: it hears the last wish
// once, when it is back.
func TestSDKShadowWhileAway(t *testing.T) {
	eachSDK(t, func(t *testing.T, program []string) {
		h := startHubd(t)
		p := startPeer(t, lamp, peerConfig{URL: h.url("tcp")}, program...)
		p.want(t, "online")
		p.order(t, object{"do": "end"})
		eventually(t, "the device is offline", func() bool { state, _ := h.state(t, lamp); return state == "offline" })
		for n := range 3 {
			h.desire(t, lamp, object{"hue": n})
		}
		for session := range 2 {
			p := startPeer(t, lamp, peerConfig{URL: h.url("tcp")}, program...)
			p.want(t, "online")
			if session == 0 {
				m := p.heard(t)
				wantState(t, "desired at the device", m.Payload.State.Desired, object{"hue": 2.0})
			}
			p.order(t, object{"do": "readShadow"})
			if m := p.heard(t); m.Method != "reply" {
				t.Errorf("session %d heard %+v once more", session, m)
			}
			p.order(t, object{"do": "end"})
			eventually(t, "the device is offline", func() bool { state, _ := h.state(t, lamp); return state == "offline" })
		}
	})
}

// plainShadow subscribes to the lamp's shadow with the MQTT client of Go and
// returns how to send bytes and read the answer.
func plainShadow(t *testing.T, h *hubd, qos byte) func(payload string) shadowMessage {
	c := dialThingsGo(t, h, lamp)
	c.wait(t, c.Subscribe("/shadow/get/"+lamp.id.String(), qos, nil))
	return func(payload string) (m shadowMessage) {
		t.Helper()
		if payload != "" {
			c.wait(t, c.Publish("/shadow/update/"+lamp.id.String(), qos, false, payload))
		}
		got := c.next(t)
		if err := json.Unmarshal(got.Payload(), &m); err != nil || got.Topic() != "/shadow/get/"+lamp.id.String() {
			t.Fatalf("%s %s: %v", got.Topic(), got.Payload(), err)
		}
		return m
	}
}

// TestRecordedShadowBytes sends what the C SDK was recorded to send (wire facts
// section 24), its malformed delete included: QoS 1, a client token it waits for,
// and a version that counts by two from 1.
func TestRecordedShadowBytes(t *testing.T) {
	h := startHubd(t)
	say := plainShadow(t, h, 1)
	token := func(n int) string { return fmt.Sprintf("%s.%s-%d", lamp.id.Product, lamp.id.Name, n) }
	h.desire(t, lamp, object{"temperature": 20})
	if m := say(""); m.Method != "control" || m.Version != 1 {
		t.Errorf("control %+v", m)
	}
	for _, tt := range []struct {
		n, version int
		bytes      string // before the token
		code       string
	}{
		{1, 1, `{"method":"get",`, ""},
		{3, 3, `{"method":"update","state":{"desired":"null"},`, ""},
		{5, 5, `{"method":"update","state":{"reported":{"temperature":21}},`, ""},
		{7, 7, `{"method":"delete",,"state":{"reported":{"temperature":"null"}},`, ""},
		{1, 1, `{"method":"update","state":{"reported":{"temperature":21}},`, "409"}, // booted again
	} {
		m := say(fmt.Sprintf(`%s"clientToken":%q,"version":%d}`, tt.bytes, token(tt.n), tt.version))
		if m.Method != "reply" || m.ClientToken != token(tt.n) || m.Payload.Content.ErrorCode != tt.code {
			t.Errorf("%s: answer %+v", tt.bytes, m)
		}
	}
	doc := h.shadow(t, lamp)
	wantState(t, "reported", doc.State.Reported, nil)
	wantState(t, "desired", doc.State.Desired, nil)
	if doc.Version != 7 || doc.Revision != 4 {
		t.Errorf("version %d and revision %d, want 7 and 4", doc.Version, doc.Revision)
	}
}
