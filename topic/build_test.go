// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
	"pgregory.net/rapid"
)

func TestBuild(t *testing.T) {
	tests := []struct {
		got    string
		append func([]byte) []byte
		want   string
		family topic.Family
		path   string
	}{
		{
			topic.Sys(dev, "thing/reset"),
			func(b []byte) []byte { return topic.AppendSys(b, dev, "thing/reset") },
			"/sys/pk/dn/thing/reset", topic.FamilySys, "thing/reset",
		},
		{
			topic.OTA("upgrade", dev),
			func(b []byte) []byte { return topic.AppendOTA(b, "upgrade", dev) },
			"/ota/device/upgrade/pk/dn", topic.FamilyOTA, "device/upgrade",
		},
		{
			topic.Shadow("get", dev),
			func(b []byte) []byte { return topic.AppendShadow(b, "get", dev) },
			"/shadow/get/pk/dn", topic.FamilyShadow, "get",
		},
		{
			topic.Ext("ntp/response", dev),
			func(b []byte) []byte { return topic.AppendExt(b, "ntp/response", dev) },
			"/ext/ntp/pk/dn/response", topic.FamilyExt, "ntp/response",
		},
		{
			topic.Ext("session/combine/login_reply", dev),
			func(b []byte) []byte { return topic.AppendExt(b, "session/combine/login_reply", dev) },
			"/ext/session/pk/dn/combine/login_reply", topic.FamilyExt, "session/combine/login_reply",
		},
		{
			topic.Ext("error", dev),
			func(b []byte) []byte { return topic.AppendExt(b, "error", dev) },
			"/ext/error/pk/dn", topic.FamilyExt, "error",
		},
		{
			topic.Ext("register", iot.DeviceID{}),
			func(b []byte) []byte { return topic.AppendExt(b, "register", iot.DeviceID{}) },
			"/ext/register", topic.FamilyExt, "register",
		},
		{
			topic.Custom(dev, "user/get"),
			func(b []byte) []byte { return topic.AppendCustom(b, dev, "user/get") },
			"/pk/dn/user/get", topic.FamilyCustom, "user/get",
		},
		{
			topic.Broadcast("pk", "news"),
			func(b []byte) []byte { return topic.AppendBroadcast(b, "pk", "news") },
			"/broadcast/pk/news", topic.FamilyBroadcast, "news",
		},
		{
			topic.RRPC("7", "/pk/dn/user/get"),
			func(b []byte) []byte { return topic.AppendRRPC(b, "7", "/pk/dn/user/get") },
			"/ext/rrpc/7/pk/dn/user/get", topic.FamilyRRPC, "/pk/dn/user/get",
		},
		{
			topic.Reply("/sys/pk/dn/thing/reset"),
			func(b []byte) []byte { return topic.AppendReply(b, "/sys/pk/dn/thing/reset") },
			"/sys/pk/dn/thing/reset_reply", topic.FamilySys, "thing/reset_reply",
		},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("got %q, want %q", tt.got, tt.want)
			}
			if got := string(tt.append([]byte("> "))); got != "> "+tt.want {
				t.Errorf("append got %q, want %q", got, "> "+tt.want)
			}
			p, err := topic.Parse(tt.want)
			if err != nil || p.Family != tt.family || p.Path != tt.path {
				t.Errorf("Parse: %+v, %v; want %v %q", p, err, tt.family, tt.path)
			}
		})
	}
}

// What is built is parsed back, whatever the names.
func TestBuildParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := iot.DeviceID{
			Product: rapid.StringMatching(`[A-Za-z0-9]{6,20}`).Draw(t, "pk"),
			Name:    rapid.StringMatching(`[A-Za-z0-9\-_@.:]{4,32}`).Draw(t, "dn"),
		}
		switch id.Product {
		case "shadow", "broadcast":
			t.Skip("a product cannot be called that")
		}
		path := rapid.StringMatching(`[a-z_]{1,9}(/[a-z_{}:]{1,9}){0,3}`).Draw(t, "path")
		for _, tt := range []struct {
			name   string
			family topic.Family
			path   string
		}{
			{topic.Sys(id, path), topic.FamilySys, path},
			{topic.Custom(id, path), topic.FamilyCustom, path},
			{topic.OTA("inform", id), topic.FamilyOTA, "device/inform"},
			{topic.Shadow("update", id), topic.FamilyShadow, "update"},
			{topic.Ext("session/combine/logout", id), topic.FamilyExt, "session/combine/logout"},
			{topic.RRPC("5", topic.Custom(id, path)), topic.FamilyRRPC, topic.Custom(id, path)},
		} {
			got, err := topic.Parse(tt.name + "?q=1")
			if err != nil || got.Family != tt.family || got.Path != tt.path || got.Device != id || got.Query != "q=1" {
				t.Errorf("Parse(%q) = %+v, %v", tt.name, got, err)
			}
		}
	})
}
