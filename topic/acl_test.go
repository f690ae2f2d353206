// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"errors"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
	"pgregory.net/rapid"
)

func newACL(t testing.TB, more ...topic.Class) *topic.ACL {
	t.Helper()
	acl, err := topic.NewACL(append(topic.DefaultClasses(), more...))
	if err != nil {
		t.Fatal(err)
	}
	return acl
}

func parse(t testing.TB, name string) topic.Topic {
	t.Helper()
	tp, err := topic.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return tp
}

func check(t *testing.T, err error, want bool) {
	t.Helper()
	if want && err != nil {
		t.Errorf("refused: %v", err)
	}
	if !want && !errors.Is(err, topic.ErrForbidden) {
		t.Errorf("got %v, want ErrForbidden", err)
	}
}

// Directions of the table in section 9 of the wire facts.
func TestACLDirections(t *testing.T) {
	acl := newACL(t,
		topic.Class{Suffix: "user/both", Operation: topic.All},
		topic.Class{Suffix: "user/+/deep/#", Operation: topic.Sub},
		topic.Class{Suffix: "user/${deviceName}/mine", Operation: topic.Pub},
	)
	tests := []struct {
		name          string
		publish, recv bool
	}{
		{"/sys/pk/dn/thing/event/property/post", true, true},
		{"/sys/pk/dn/thing/event/property/post_reply", true, true},
		{"/sys/pk/dn/app/anything", true, true},
		{"/sys/pk/dn/rrpc/response/1", true, true},
		{"/sys/pk/other/thing/event/property/post", false, false},
		{"/sys/other/dn/thing/event/property/post", false, false},
		{"/sys/pk/dn", false, false},
		{"/ota/device/inform/pk/dn", true, false},
		{"/ota/device/progress/pk/dn", true, false},
		{"/ota/device/request/pk/dn", true, true},
		{"/ota/device/upgrade/pk/dn", false, true},
		{"/ota/device/other/pk/dn", false, false},
		{"/ota/device/inform/pk/other", false, false},
		{"/shadow/update/pk/dn", true, false},
		{"/shadow/get/pk/dn", false, true},
		{"/shadow/update/pk/other", false, false},
		{"/ext/ntp/pk/dn/request", true, false},
		{"/ext/ntp/pk/dn/response", false, true},
		{"/ext/ntp/pk/other/request", false, false},
		{"/ext/ntp/pk/dn/other", false, false},
		{"/ext/session/pk/dn/combine/login", true, false},
		{"/ext/session/pk/dn/combine/login_reply", false, true},
		{"/ext/session/pk/dn/combine/batch_logout", true, false},
		{"/ext/session/pk/other/combine/login", false, false},
		{"/ext/error/pk/dn", false, true},
		{"/ext/error/pk/other", false, false},
		{"/ext/register", false, true},
		{"/ext/regnwl", false, true},
		{"/ext/auth/identity/response", false, true},
		{"/ext/network/probe/1", true, true},
		{"/ext/rrpc/1/pk/dn/user/anything", true, true},
		{"/ext/rrpc/1/sys/pk/dn/thing/service/x", true, true},
		{"/ext/rrpc/1/pk/other/user/anything", false, false},
		{"/ext/rrpc/1/sys/pk/other/thing/service/x", false, false},
		{"/ext/rrpc/1/test", false, false},
		{"/ext/rrpc/1/ext/rrpc/2/pk/dn/x", false, false},
		{"/ext/rrpc/1/broadcast/pk/x", false, false},
		{"/broadcast/pk/news", false, true},
		{"/broadcast/other/news", false, false},
		{"/pk/dn/update", true, false},
		{"/pk/dn/update/error", true, false},
		{"/pk/dn/get", false, true},
		{"/pk/dn/user/update", true, false},
		{"/pk/dn/user/update?_sn=default", true, false},
		{"/pk/dn/user/get", false, true},
		{"/pk/dn/user/both", true, true},
		{"/pk/dn/user/none", false, false},
		{"/pk/dn/user/a/deep", false, true},
		{"/pk/dn/user/a/deep/er", false, true},
		{"/pk/dn/user/a/b/deep", false, false},
		{"/pk/dn/user/dn/mine", true, false},
		{"/pk/dn/user/other/mine", false, false},
		{"/pk/other/user/update", false, false},
		{"/other/dn/user/update", false, false},
		{"$SYS/x", false, false},
		{"x", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tp := parse(t, tt.name)
			check(t, acl.Publish(dev, tp), tt.publish)
			check(t, acl.Deliver(dev, tp), tt.recv)
			if acl.Publish(iot.DeviceID{}, tp) == nil && tp.ID == "" {
				t.Error("a device without a name may publish")
			}
		})
	}
}

func TestACLSubscribe(t *testing.T) {
	acl := newACL(t, topic.Class{Suffix: "user/+/x", Operation: topic.Sub})
	tests := []struct {
		filter string
		want   bool
	}{
		{"/sys/pk/dn/#", true},
		{"/sys/pk/dn/thing/service/#", true},
		{"/sys/pk/dn/thing/event/+/post_reply", true},
		{"/sys/pk/dn/+/+", true},
		{"/sys/pk/dn", false},
		{"/sys/pk/dn/", false},
		{"/sys/pk/+/thing/service/#", false},
		{"/sys/pk/#", false},
		{"/sys/+/dn/#", false},
		{"/sys/#", false},
		{"/sys/pk/other/#", false},
		{"/ota/device/upgrade/pk/dn", true},
		{"/ota/device/+/pk/dn", true},
		{"/ota/device/upgrade/pk/dn/#", true},
		{"/ota/device/upgrade/pk/+", false},
		{"/ota/device/upgrade/pk/#", false},
		{"/ota/device/#", false},
		{"/ota/#", false},
		{"/ota/+/pk/dn", false},
		{"/shadow/get/pk/dn", true},
		{"/shadow/+/pk/dn", true},
		{"/shadow/get/pk/other", false},
		{"/shadow/get/#", false},
		{"/ext/ntp/pk/dn/response", true},
		{"/ext/+/pk/dn/#", true},
		{"/ext/session/pk/dn/combine/+", true},
		{"/ext/error/pk/dn", true},
		{"/ext/error/pk/dn/#", true},
		{"/ext/error/pk/+", false},
		{"/ext/error/+/dn", false},
		{"/ext/error/pk/#", false},
		{"/ext/error/#", false},
		{"/ext/#", false},
		{"/ext/register", true},
		{"/ext/regnwl", true},
		{"/ext/auth/identity/response", true},
		{"/ext/network/probe/+", true},
		{"/ext/network/probe/7", true},
		{"/ext/network/#", false},
		{"/ext/rrpc/+/#", true},
		{"/ext/rrpc/7/#", true},
		{"/ext/rrpc/#", false},
		{"/ext/rrpc/+/pk/dn/user/get", true},
		{"/ext/rrpc/+/pk/dn/#", true},
		{"/ext/rrpc/+/sys/pk/dn/thing/service/+", true},
		{"/ext/rrpc/+/pk/other/#", false},
		{"/ext/rrpc/+/pk/+/#", false},
		{"/ext/rrpc/+/+/dn/#", false},
		{"/ext/rrpc/+/sys/pk/other/#", false},
		{"/ext/rrpc/+/sys/#", false},
		{"/broadcast/pk/#", true},
		{"/broadcast/pk/news", true},
		{"/broadcast/+/news", false},
		{"/broadcast/other/news", false},
		{"/broadcast/#", false},
		{"/pk/dn/user/get", true},
		{"/pk/dn/get", true},
		{"/pk/dn/user/update", false},
		{"/pk/dn/user/a/x", true},
		{"/pk/dn/user/none", false},
		{"/pk/dn/#", true},
		{"/pk/dn/user/+", true},
		{"/pk/dn/user/#", true},
		{"/pk/dn", false},
		{"/pk/+/user/get", false},
		{"/pk/#", false},
		{"/+/dn/user/get", false},
		{"/+/+/user/get", false},
		{"/pk/other/user/get", false},
		{"/pk/dn/a/b/c/d/e/#", false},
		{"#", false},
		{"/#", false},
		{"+/#", false},
		{"+/pk/dn/user/get", false},
		{"$share/g/sys/pk/dn/#", false},
		{"$SYS/#", false},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) { check(t, acl.Subscribe(dev, tt.filter), tt.want) })
	}
	t.Run("Illegal", func(t *testing.T) {
		err := acl.Subscribe(dev, "/sys/pk/dn/a#")
		if !errors.Is(err, topic.ErrForbidden) || !errors.Is(err, topic.ErrBadTopic) {
			t.Errorf("got %v, want ErrForbidden and ErrBadTopic", err)
		}
	})
}

// What real SDKs subscribe to on every connect is granted (wire facts, sections 9
// and 24).
func TestACLRealFilters(t *testing.T) {
	acl := newACL(t)
	for _, f := range strings.Fields(`
		/ota/device/request/pk/dn /ota/device/upgrade/pk/dn
		/sys/pk/dn/thing/config/get_reply /sys/pk/dn/thing/config/push /sys/pk/dn/thing/config/push_reply
		/sys/pk/dn/thing/property/desired/delete_reply /sys/pk/dn/thing/property/desired/get_reply
		/sys/pk/dn/thing/service/property/get /sys/pk/dn/thing/service/property/set /sys/pk/dn/thing/service/+
		/sys/pk/dn/thing/deviceinfo/update_reply /sys/pk/dn/thing/deviceinfo/delete_reply
		/sys/pk/dn/thing/dynamicTsl/get_reply /sys/pk/dn/rrpc/request/+
		/ext/ntp/pk/dn/response /ext/error/pk/dn
		/sys/pk/dn/thing/model/down_raw /sys/pk/dn/thing/model/up_raw_reply
		/sys/pk/dn/thing/topo/add/notify /sys/pk/dn/thing/gateway/permit
		/sys/pk/dn/thing/sub/register_reply /sys/pk/dn/thing/sub/unregister_reply
		/sys/pk/dn/thing/proxy/provisioning/product_register_reply
		/sys/pk/dn/thing/topo/add_reply /sys/pk/dn/thing/topo/delete_reply /sys/pk/dn/thing/topo/get_reply
		/sys/pk/dn/thing/list/found_reply
		/ext/session/pk/dn/combine/login_reply /ext/session/pk/dn/combine/logout_reply
		/ext/session/pk/dn/combine/batch_login_reply /ext/session/pk/dn/combine/batch_logout_reply
		/sys/pk/dn/thing/disable /sys/pk/dn/thing/enable /sys/pk/dn/thing/delete
		/sys/pk/dn/thing/event/property/post_reply /sys/pk/dn/thing/event/+/post_reply
		/sys/pk/dn/thing/service/# /ext/network/probe/+ /shadow/get/pk/dn
		/ext/rrpc/+/# /ext/register /ext/regnwl /broadcast/pk/test
		/sys/pk/dn/thing/job/notify /pk/dn/user/get /pk/dn/get
	`) {
		check(t, acl.Subscribe(dev, f), true)
	}
}

func TestNewACL(t *testing.T) {
	many := make([]topic.Class, topic.MaxClasses+1)
	for i := range many {
		many[i] = topic.Class{Suffix: "user/" + strings.Repeat("x", i+1), Operation: topic.Pub}
	}
	if _, err := topic.NewACL(many[1:]); err != nil {
		t.Error(err)
	}
	for name, classes := range map[string][]topic.Class{
		"TooMany":     many,
		"NoOperation": {{Suffix: "user/x"}},
		"Operation":   {{Suffix: "user/x", Operation: 8}},
		"Empty":       {{Operation: topic.Pub}},
		"Slash":       {{Suffix: "/user/x", Operation: topic.Pub}},
		"Wildcard":    {{Suffix: "user/x+", Operation: topic.Sub}},
		"Hash":        {{Suffix: "user/#/x", Operation: topic.Sub}},
		"Slashes":     {{Suffix: "a/b/c/d/e/f/g/h/i", Operation: topic.Sub}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := topic.NewACL(classes); !errors.Is(err, topic.ErrBadClass) {
				t.Errorf("got %v, want ErrBadClass", err)
			}
		})
	}
}

// Whatever a device is granted, no filter of its own matches a topic that only
// concerns another device.
func TestACLConfined(t *testing.T) {
	acl := newACL(t, topic.Class{Suffix: "#", Operation: topic.All})
	level := rapid.SampledFrom([]string{"sys", "ext", "ota", "shadow", "broadcast", "device", "rrpc", "ntp", "update", "pk", "dn", "other", "x", "+", "#"})
	filter := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(level, 1, 6).Draw(t, "levels"), "/")
	})
	other := iot.DeviceID{Product: "pk", Name: "other"}
	foreign := []string{
		topic.Sys(other, "x"), topic.Sys(other, "rrpc/request/x"), topic.OTA("update", other), topic.Shadow("update", other),
		topic.Ext("ntp/request", other), topic.Ext("error", other), topic.Custom(other, "x"), topic.Custom(other, "x/x"),
		topic.Broadcast("other", "x"), topic.Sys(iot.DeviceID{Product: "other", Name: "dn"}, "x"),
	}
	rapid.Check(t, func(t *rapid.T) {
		f := filter.Draw(t, "filter")
		if acl.Subscribe(dev, f) != nil {
			return
		}
		for _, name := range foreign {
			if topic.Match(f, name) {
				t.Errorf("granted %q matches %q", f, name)
			}
		}
	})
}
