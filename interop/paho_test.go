// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startPaho runs python/device.py over plain TCP.
func startPaho(t *testing.T, h *hubd, cfg peerConfig) *peer {
	t.Helper()
	cfg.URL = "tcp://" + h.addrs["mqtt"]
	return startPeer(t, lamp, cfg, needPaho(t), "python/device.py")
}

func TestPahoRefused(t *testing.T) {
	needPaho(t)
	h := startHubd(t, "-limits", "default")
	for name, tt := range map[string]struct {
		cfg  peerConfig
		code int
	}{
		"wrong secret":                    {peerConfig{DeviceSecret: "wrong"}, 4},
		"wrong secret, MQTT 3.1":          {peerConfig{DeviceSecret: "wrong", Level: 3}, 4},
		"keep-alive below 30 s":           {peerConfig{KeepAlive: 29}, 5},
		"keep-alive above 20 min":         {peerConfig{KeepAlive: 1201}, 5},
		"keep-alive below 30 s, MQTT 3.1": {peerConfig{KeepAlive: 29, Level: 3}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			if e := startPaho(t, h, tt.cfg).want(t, "refused"); e.Code != tt.code {
				t.Errorf("return code %d, want %d", e.Code, tt.code)
			}
			if state, _ := h.state(t, lamp); state != "inactive" {
				t.Errorf("a refused device is %s", state)
			}
		})
	}
}

func TestPahoMQTT31(t *testing.T) {
	needPaho(t)
	h := startHubd(t)
	converse(t, h, startPaho(t, h, peerConfig{Level: 3}))
}

// hubd makes a certificate when it is given none; clients that trust it get in.
func TestPahoSelfSigned(t *testing.T) {
	python, data := needPaho(t), t.TempDir()
	h := startHubd(t, "-data", data, "-tls-cert", "", "-tls-key", "")
	for _, transport := range []string{"tls", "wss", "any-tls"} {
		t.Run(transport, func(t *testing.T) {
			url := strings.Replace(h.url(transport), "mqtts:", "tls:", 1)
			p := startPeer(t, lamp, peerConfig{URL: url, CA: filepath.Join(data, "tls.crt")}, python, "python/device.py")
			p.want(t, "online")
			wantOK(t, "answer to the client", p.ask(t, object{"do": "post", "params": object{"Temperature": 20}}))
		})
	}
}

// A device that vanishes without a word comes back to its session.
func TestPahoResumes(t *testing.T) {
	needPaho(t)
	h := startHubd(t)
	p := startPaho(t, h, peerConfig{Keep: true})
	if e := p.want(t, "online"); e.Resumed {
		t.Error("the first session is resumed")
	}
	p.order(t, object{"do": "subscribe", "topic": lamp.topic("user/get")})
	p.want(t, "subscribed")
	p.kill()
	eventually(t, "the device is offline", func() bool { state, _ := h.state(t, lamp); return state == "offline" })
	if _, cause := h.state(t, lamp); cause != "reset" {
		t.Errorf("connection ended with cause %q, want reset", cause)
	}
	h.publish(t, lamp.topic("user/get"), "while you were away", 1)
	p = startPaho(t, h, peerConfig{Keep: true})
	if e := p.want(t, "online"); !e.Resumed {
		t.Error("the session is not resumed")
	}
	if e := p.want(t, "message"); e.Payload != "while you were away" {
		t.Errorf("got %q", e.Payload)
	}
}

// A second connection with the same identity takes over.
func TestPahoTakesOver(t *testing.T) {
	needPaho(t)
	h := startHubd(t)
	first := startPaho(t, h, peerConfig{})
	first.want(t, "online")
	second := startPaho(t, h, peerConfig{})
	second.want(t, "online")
	first.want(t, "offline")
	first.kill()
	eventually(t, "the log tells of the kick", func() bool {
		for _, e := range h.logs(t, lamp) {
			if e.Cause == "kicked" {
				return true
			}
		}
		return false
	})
}

func TestPahoCustomRRPC(t *testing.T) {
	needPaho(t)
	h := startHubd(t)
	p := startPaho(t, h, peerConfig{})
	p.want(t, "online")
	p.order(t, object{"do": "subscribe", "topic": "/ext/rrpc/+" + lamp.topic("user/ask")})
	if e := p.want(t, "subscribed"); e.Code != 1 {
		t.Fatalf("granted %d", e.Code)
	}
	if got := h.rrpc(t, lamp, "who", lamp.topic("user/ask")); got != "echo who" {
		t.Errorf("answer %q, want echo who", got)
	}
}

func TestPahoNTP(t *testing.T) {
	needPaho(t)
	h := startHubd(t)
	p := startPaho(t, h, peerConfig{})
	p.want(t, "online")
	p.order(t, object{"do": "publish", "topic": "/ext/ntp/" + lamp.id.String() + "/request", "payload": `{"deviceSendTime":"1234"}`})
	e := p.want(t, "message")
	var times struct{ DeviceSendTime, ServerRecvTime, ServerSendTime string }
	e.decode(t, e.Payload, &times)
	if times.DeviceSendTime != "1234" || !recent(times.ServerRecvTime) || !recent(times.ServerSendTime) {
		t.Errorf("got %s", e.Payload)
	}
}

func recent(millis string) bool {
	ms, err := time.ParseDuration(millis + "ms")
	return err == nil && time.Since(time.UnixMilli(ms.Milliseconds())).Abs() < time.Minute
}
