// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import "testing"

// eachSDK runs f with both SDKs of npm.
func eachSDK(t *testing.T, f func(t *testing.T, program []string)) {
	for _, c := range clients[:2] {
		t.Run(c.name, func(t *testing.T) { f(t, c.program(t)) })
	}
}

func TestSDKRefused(t *testing.T) {
	eachSDK(t, func(t *testing.T, program []string) {
		h := startHubd(t)
		p := startPeer(t, lamp, peerConfig{URL: h.url("tcp"), DeviceSecret: "wrong"}, program...)
		if e := p.want(t, "error"); e.Code != 4 {
			t.Errorf("the SDK tells code %d %q, want 4", e.Code, e.Text)
		}
	})
}

// Version 1.0.1 reports itself as soon as it exists.
func TestSDKReportsItself(t *testing.T) {
	h := startHubd(t)
	c := clients[1]
	p := startPeer(t, lamp, peerConfig{URL: h.url("tcp")}, c.program(t)...)
	p.want(t, "online")
	eventually(t, "the SDK has reported itself", func() bool {
		own, system := h.tags(t, lamp)
		return len(own) == 0 && system["SYS_SDK_LANGUAGE"] == "NodeJS" && system["SYS_LP_SDK_VERSION"] == "1.0.1"
	})
}

// A request the platform cannot fulfil is answered, not left to time out.
func TestSDKNoConfig(t *testing.T) {
	eachSDK(t, func(t *testing.T, program []string) {
		h := startHubd(t)
		p := startPeer(t, lamp, peerConfig{URL: h.url("tcp")}, program...)
		p.want(t, "online")
		if a := p.ask(t, object{"do": "config"}); a.Code != 6710 || a.Message == "" {
			t.Errorf("answer %+v, want 6710 and a reason", a)
		}
	})
}
