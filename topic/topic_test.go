// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

var dev = iot.DeviceID{Product: "pk", Name: "dn"}

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want topic.Topic
	}{
		{"/sys/pk/dn/thing/event/property/post", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "thing/event/property/post"}},
		{"/sys/pk/dn/_thing/event/notify", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "_thing/event/notify"}},
		{"/sys/pk/dn/rrpc/request/42", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "rrpc/request/42", ID: "42"}},
		{"/sys/pk/dn/rrpc/response/42", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "rrpc/response/42", ID: "42"}},
		{"/sys/pk/dn/rrpc/response/4/2", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "rrpc/response/4/2"}},
		{"/sys/pk/dn/rrpc", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "rrpc"}},
		{"/sys/pk/dn/broadcast/request/7", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "broadcast/request/7", ID: "7"}},
		{"/sys/pk/dn//x", topic.Topic{Family: topic.FamilySys, Device: dev, Path: "/x"}},
		{"/sys/pk/dn", topic.Topic{}},
		{"/sys/pk/dn/", topic.Topic{}},
		{"/sys/pk//x", topic.Topic{}},
		{"/sys//dn/x", topic.Topic{}},
		{"/sys", topic.Topic{}},
		{"/ota/device/inform/pk/dn", topic.Topic{Family: topic.FamilyOTA, Device: dev, Path: "device/inform"}},
		{"/ota/device/request/pk/dn", topic.Topic{Family: topic.FamilyOTA, Device: dev, Path: "device/request"}},
		{"/ota/device/inform/pk/dn/x", topic.Topic{}},
		{"/ota/device/inform/pk/", topic.Topic{}},
		{"/ota/device/inform/pk", topic.Topic{}},
		{"/ota/device//pk/dn", topic.Topic{}},
		{"/ota/firmware/inform/pk/dn", topic.Topic{}},
		{"/shadow/update/pk/dn", topic.Topic{Family: topic.FamilyShadow, Device: dev, Path: "update"}},
		{"/shadow/get/pk/dn", topic.Topic{Family: topic.FamilyShadow, Device: dev, Path: "get"}},
		{"/shadow/put/pk/dn", topic.Topic{}},
		{"/ext/ntp/pk/dn/request", topic.Topic{Family: topic.FamilyExt, Device: dev, Path: "ntp/request"}},
		{"/ext/ntp/pk/dn/response", topic.Topic{Family: topic.FamilyExt, Device: dev, Path: "ntp/response"}},
		{"/ext/ntp/pk/dn/other", topic.Topic{Family: topic.FamilyExt, Device: dev}},
		{"/ext/ntp/pk/dn/", topic.Topic{}},
		{"/ext/session/pk/dn/combine/login", topic.Topic{Family: topic.FamilyExt, Device: dev, Path: "session/combine/login"}},
		{"/ext/session/pk/dn/combine/batch_logout_reply", topic.Topic{Family: topic.FamilyExt, Device: dev, Path: "session/combine/batch_logout_reply"}},
		{"/ext/session/pk/dn/combine/other", topic.Topic{Family: topic.FamilyExt, Device: dev}},
		{"/ext/error/pk/dn", topic.Topic{Family: topic.FamilyExt, Device: dev, Path: "error"}},
		{"/ext/error/pk/dn/x", topic.Topic{Family: topic.FamilyExt, Device: dev}},
		{"/ext/error/pk", topic.Topic{}},
		{"/ext/register", topic.Topic{Family: topic.FamilyExt, Path: "register"}},
		{"/ext/regnwl", topic.Topic{Family: topic.FamilyExt, Path: "regnwl"}},
		{"/ext/register/pk/dn", topic.Topic{}},
		{"/ext/auth/identity/response", topic.Topic{Family: topic.FamilyExt, Path: "auth/identity/response"}},
		{"/ext/auth/pk/dn", topic.Topic{}},
		{"/ext/network/probe/17", topic.Topic{Family: topic.FamilyExt, Path: "network/probe/17", ID: "17"}},
		{"/ext/network/probe/1/7", topic.Topic{}},
		{"/ext/network/probe/", topic.Topic{}},
		{"/ext/network/pk/dn", topic.Topic{}},
		{"/ext", topic.Topic{}},
		{"/ext/rrpc/9/pk/dn/user/get", topic.Topic{Family: topic.FamilyRRPC, Device: dev, Path: "/pk/dn/user/get", ID: "9"}},
		{"/ext/rrpc/9/sys/pk/dn/thing/service/x", topic.Topic{Family: topic.FamilyRRPC, Device: dev, Path: "/sys/pk/dn/thing/service/x", ID: "9"}},
		{"/ext/rrpc/9/sys/pk/dn/rrpc/request/8", topic.Topic{Family: topic.FamilyRRPC, Device: dev, Path: "/sys/pk/dn/rrpc/request/8", ID: "9"}},
		{"/ext/rrpc/9/ext/rrpc/8/pk/dn/x", topic.Topic{Family: topic.FamilyRRPC, Path: "/ext/rrpc/8/pk/dn/x", ID: "9"}},
		{"/ext/rrpc/9/test", topic.Topic{Family: topic.FamilyRRPC, Path: "/test", ID: "9"}},
		{"/ext/rrpc/9/", topic.Topic{}},
		{"/ext/rrpc/9", topic.Topic{}},
		{"/ext/rrpc//x", topic.Topic{}},
		{"/broadcast/pk/a/b", topic.Topic{Family: topic.FamilyBroadcast, Device: iot.DeviceID{Product: "pk"}, Path: "a/b"}},
		{"/broadcast/pk", topic.Topic{}},
		{"/pk/dn/user/update", topic.Topic{Family: topic.FamilyCustom, Device: dev, Path: "user/update"}},
		{"/pk/dn/update", topic.Topic{Family: topic.FamilyCustom, Device: dev, Path: "update"}},
		{"/pk/dn/user/update?_sn=default", topic.Topic{Name: "/pk/dn/user/update", Family: topic.FamilyCustom, Device: dev, Path: "user/update", Query: "_sn=default"}},
		{"/sys/pk/dn/thing/model/up_raw?a=1?b=2", topic.Topic{Name: "/sys/pk/dn/thing/model/up_raw", Family: topic.FamilySys, Device: dev, Path: "thing/model/up_raw", Query: "a=1?b=2"}},
		{"/pk/dn/user/\u4e2d", topic.Topic{Family: topic.FamilyCustom, Device: dev, Path: "user/\u4e2d"}},
		{"/pk/dn", topic.Topic{}},
		{"/pk/dn/", topic.Topic{}},
		{"//dn/x", topic.Topic{}},
		{"/", topic.Topic{}},
		{"$oc/devices/d/sys/properties/report", topic.Topic{}},
		{"$thing/up/property/pk/dn", topic.Topic{}},
		{"pk/dn/data", topic.Topic{}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			if tt.want.Name == "" {
				tt.want.Name = tt.in
			}
			got, err := topic.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseIllegal(t *testing.T) {
	tests := []struct{ name, in string }{
		{"Empty", ""},
		{"Plus", "/sys/pk/+/x"},
		{"Hash", "/sys/pk/dn/#"},
		{"WildcardInQuery", "/pk/dn/x?a=+"},
		{"NUL", "/pk/dn/a\x00b"},
		{"NotUTF8", "/pk/dn/\xff"},
		{"Surrogate", "/pk/dn/\xed\xa0\x80"},
		{"TooLong", "/sys/pk/dn/" + strings.Repeat("x", topic.MaxBytes)},
		{"CustomChars", "/pk/dn/" + strings.Repeat("x", topic.MaxChars-len("/pk/dn/")+1)},
		{"CustomCharsNotASCII", "/pk/dn/" + strings.Repeat("\u4e2d", topic.MaxChars-len("/pk/dn/")+1)},
		{"CustomSlashes", "/pk/dn/a/b/c/d/e/f"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := topic.Parse(tt.in); !errors.Is(err, topic.ErrBadTopic) || got != (topic.Topic{}) {
				t.Errorf("got %+v, %v; want zero, ErrBadTopic", got, err)
			}
		})
	}
}

// The limits of custom topics hold for custom topics only, and in characters.
func TestParseLimits(t *testing.T) {
	for name, in := range map[string]string{
		"CustomChars":    "/pk/dn/" + strings.Repeat("x", topic.MaxChars-len("/pk/dn/")),
		"CustomNotASCII": "/pk/dn/" + strings.Repeat("\u4e2d", topic.MaxChars-len("/pk/dn/")),
		"CustomSlashes":  "/pk/dn/a/b/c/d/e",
		"CustomQuery":    "/pk/dn/a?" + strings.Repeat("x/", topic.MaxChars),
		"Sys":            "/sys/pk/dn/" + strings.Repeat("x/", topic.MaxChars),
		"Broadcast":      "/broadcast/pk/" + strings.Repeat("x/", topic.MaxChars),
		"RRPC":           "/ext/rrpc/1/pk/dn/" + strings.Repeat("x/", topic.MaxChars),
		"Vendor":         "$oc/devices/" + strings.Repeat("x/", topic.MaxChars),
		"Longest":        "/sys/pk/dn/" + strings.Repeat("x", topic.MaxBytes-len("/sys/pk/dn/")),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := topic.Parse(in); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFamilyString(t *testing.T) {
	for f, want := range map[topic.Family]string{
		topic.FamilyUnknown: "unknown", topic.FamilySys: "sys", topic.FamilyRRPC: "rrpc", 200: "unknown",
	} {
		if got := f.String(); got != want {
			t.Errorf("Family(%d).String() = %q, want %q", f, got, want)
		}
	}
}
