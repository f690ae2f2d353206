// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// client is a device program of others, or ours, that holds the conversation of
// converse over every transport.
type client struct {
	name    string
	program func(t *testing.T) []string // skips or fails when the program is missing
	scheme  map[string]string           // what it calls mqtt and mqtts, if not so
}

var everyWay = []string{"tcp", "tls", "ws", "wss", "any", "any-tls", "any-ws", "any-wss"}

var pahoScheme = map[string]string{"mqtts": "tls", "mqtt": "tcp"}

var clients = []client{
	{name: "alibabacloud-iot-device-sdk-1.2.8", program: func(t *testing.T) []string {
		return []string{needNPM(t, "alibabacloud-iot-device-sdk", "1.2.8"), "npm/device.js"}
	}},
	{name: "aliyun-iot-device-sdk-1.0.1", program: func(t *testing.T) []string {
		return []string{needNPM(t, "aliyun-iot-device-sdk", "1.0.1"), "npm/device101.js"}
	}},
	{name: "paho-mqtt-python", scheme: pahoScheme, program: func(t *testing.T) []string {
		return []string{needPaho(t), "python/device.py"}
	}},
	{name: "openalink-device", scheme: pahoScheme, program: func(*testing.T) []string {
		return []string{deviceProgram}
	}},
}

// start runs the client as lamp over a transport of h.
func (c client) start(t *testing.T, h *hubd, transport string) *peer {
	t.Helper()
	scheme, rest, _ := strings.Cut(h.url(transport), ":")
	if s := c.scheme[scheme]; s != "" {
		scheme = s
	}
	return startPeer(t, lamp, peerConfig{URL: scheme + ":" + rest}, c.program(t)...)
}

func TestClients(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			c.program(t)
			h := startHubd(t)
			for _, transport := range everyWay {
				t.Run(transport, func(t *testing.T) { converse(t, h, c.start(t, h, transport)) })
			}
		})
	}
}

// The documented limits leave room for all of them.
func TestClientsUnderLimits(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			c.program(t)
			h := startHubd(t, "-limits", "default")
			converse(t, h, c.start(t, h, "any"))
		})
	}
}

// What was acknowledged survives a kill of the platform, and the clients come back
// by themselves.
func TestClientsSurviveKill(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			c.program(t)
			data := t.TempDir()
			h := startHubd(t, "-data", data)
			p := c.start(t, h, "tcp")
			p.want(t, "online")
			wantOK(t, "answer to the client", p.ask(t, object{"do": "post", "params": object{"Temperature": 20}}))
			if err := h.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			h.stop()
			p.want(t, "offline")
			h = startHubd(t, "-data", data, "-mqtt", h.addrs["mqtt"])
			p.want(t, "online")
			if got := h.property(t, lamp, "Temperature"); got != 20.0 {
				t.Errorf("Temperature is %v after the kill, want 20", got)
			}
			wantOK(t, "answer to the client", p.ask(t, object{"do": "post", "params": object{"Temperature": 30}}))
			wantOK(t, "answer of the client", h.setProperties(t, lamp, object{"Power": 1}))
		})
	}
}

// converse holds the whole conversation of a device that was just started, and
// looks at both ends.
func converse(t *testing.T, h *hubd, p *peer) {
	p.want(t, "online")
	if state, _ := h.state(t, lamp); state != "online" {
		t.Errorf("presence %q, want online", state)
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T, *hubd, *peer)
	}{
		{"property", postProperty},
		{"event", postEvent},
		{"set", setProperty},
		{"service", asyncService},
		{"sync-service", syncService},
		{"rrpc", rawRRPC},
		{"tags", changeTags},
		{"custom-topic", customTopic},
		{"foreign-topic", foreignTopic},
		{"goodbye", goodbye},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, h, p) }) {
			return // what follows would only wait
		}
	}
}

func wantOK(t *testing.T, what string, a answer) {
	t.Helper()
	if a.Code != 200 {
		t.Errorf("%s: code %d %q, want 200", what, a.Code, a.Message)
	}
}

func postProperty(t *testing.T, h *hubd, p *peer) {
	a := p.ask(t, object{"do": "post", "params": object{"Temperature": 21.5, "Mode": "自动"}})
	wantOK(t, "answer to the client", a)
	if a.Message != "success" {
		t.Errorf("message %q, want success", a.Message)
	}
	if temperature, mode := h.property(t, lamp, "Temperature"), h.property(t, lamp, "Mode"); temperature != 21.5 || mode != "自动" {
		t.Errorf("the platform has Temperature %v and Mode %v", temperature, mode)
	}
}

func postEvent(t *testing.T, h *hubd, p *peer) {
	before := len(h.messages(t, lamp))
	wantOK(t, "answer to the client", p.ask(t, object{"do": "event", "name": "alarm", "params": object{"level": 3}}))
	for _, m := range h.messages(t, lamp)[before:] {
		if m.Topic == lamp.sys("thing/event/alarm/post") && strings.Contains(string(m.Payload), `"level":`) {
			return
		}
	}
	t.Error("the event is not in the message log")
}

func setProperty(t *testing.T, h *hubd, p *peer) {
	wantOK(t, "answer of the client", h.setProperties(t, lamp, object{"Power": 1}))
	wantParams(t, p.want(t, "set"), map[string]int{"Power": 1})
}

func wantParams(t *testing.T, e event, want map[string]int) {
	t.Helper()
	var body struct{ Params map[string]int }
	if err := json.Unmarshal(e.Body, &body); err != nil || !maps.Equal(body.Params, want) {
		t.Errorf("client got %s (%v), want params %v", e.Body, err, want)
	}
}

func asyncService(t *testing.T, h *hubd, p *peer) { callService(t, h, p, "add", true) }

func syncService(t *testing.T, h *hubd, p *peer) { callService(t, h, p, "addNow", false) }

func callService(t *testing.T, h *hubd, p *peer, name string, async bool) {
	t.Helper()
	a := h.invoke(t, lamp, name, object{"a": 2, "b": 40}, async)
	wantOK(t, "answer of the client", a)
	var out struct{ Sum int }
	if err := json.Unmarshal(a.Data, &out); err != nil || out.Sum != 42 {
		t.Errorf("data %s (%v), want a sum of 42", a.Data, err)
	}
	e := p.want(t, "service")
	if e.Name != name {
		t.Errorf("service %q called, want %q", e.Name, name)
	}
	wantParams(t, e, map[string]int{"a": 2, "b": 40})
}

func rawRRPC(t *testing.T, h *hubd, p *peer) {
	if got := h.rrpc(t, lamp, "ping", ""); got != "echo ping" {
		t.Errorf("answer %q, want echo ping", got)
	}
	if e := p.want(t, "rrpc"); e.Payload != "ping" {
		t.Errorf("client got %q", e.Payload)
	}
}

func changeTags(t *testing.T, h *hubd, p *peer) {
	wantOK(t, "answer to the client", p.ask(t, object{"do": "tag", "name": "room", "value": "hall"}))
	if own, _ := h.tags(t, lamp); own["room"] != "hall" {
		t.Errorf("tags %v, want room hall", own)
	}
	wantOK(t, "answer to the client", p.ask(t, object{"do": "untag", "name": "room"}))
	if own, _ := h.tags(t, lamp); len(own) != 0 {
		t.Errorf("tags %v, want none", own)
	}
}

func customTopic(t *testing.T, h *hubd, p *peer) {
	p.order(t, object{"do": "subscribe", "topic": lamp.topic("user/get")})
	if e := p.want(t, "subscribed"); e.Code != 1 {
		t.Fatalf("granted %d, want QoS 1", e.Code)
	}
	h.publish(t, lamp.topic("user/get"), "hello", 1)
	if e := p.want(t, "message"); e.Topic != lamp.topic("user/get") || e.Payload != "hello" {
		t.Errorf("client got %q on %s", e.Payload, e.Topic)
	}
	p.order(t, object{"do": "publish", "topic": lamp.topic("user/update"), "payload": "here I am"})
	if e := p.want(t, "published"); e.Text != "" {
		t.Errorf("publish: %s", e.Text)
	}
	eventually(t, "the message is in the message log", func() bool {
		all := h.messages(t, lamp)
		m := all[len(all)-1]
		return m.Topic == lamp.topic("user/update") && string(m.Payload) == "here I am" && m.QoS == 1
	})
}

func foreignTopic(t *testing.T, _ *hubd, p *peer) {
	p.order(t, object{"do": "subscribe", "topic": other.topic("user/get")})
	if e := p.want(t, "subscribed"); e.Code != 128 {
		t.Errorf("granted %d, want a refusal", e.Code)
	}
}

func goodbye(t *testing.T, h *hubd, p *peer) {
	p.order(t, object{"do": "end"})
	var state, cause string
	eventually(t, "the device is offline", func() bool {
		state, cause = h.state(t, lamp)
		return state == "offline"
	})
	if cause != "client" {
		t.Errorf("connection ended with cause %q, want client", cause)
	}
}
