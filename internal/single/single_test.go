// SPDX-License-Identifier: Apache-2.0

package single_test

import (
	"testing"

	"github.com/openalink/iot/internal/single"
)

func TestPayload(t *testing.T) {
	for _, c := range []struct{ topic, in, want string }{
		{"/sys/pk/dn/thing/event/property/post", "{}\x00\x00", "{}"},
		{"/sys/pk/dn/thing/event/property/post", "x\x00", "x"},
		{"/sys/pk/dn/thing/model/up_raw", "\x01\x00", "\x01\x00"},
		{"/pk/dn/user/update", `{"a":1}` + "\x00", `{"a":1}`},
		{"/pk/dn/user/update", "\x01\x00", "\x01\x00"},
		{"/pk/dn/user/update", "", ""},
		{"/pk/dn/user/update", "{}", "{}"},
	} {
		if got := string(single.Payload(c.topic, []byte(c.in))); got != c.want {
			t.Errorf("%s %q: %q", c.topic, c.in, got)
		}
	}
}

func TestAnswerTopic(t *testing.T) {
	for in, want := range map[string]string{
		"/sys/pk/dn/thing/event/property/post": "/sys/pk/dn/thing/event/property/post_reply",
		"/shadow/update/pk/dn":                 "/shadow/get/pk/dn",
		"/ota/device/request/pk/dn":            "/ota/device/request/pk/dn",
		"/ext/ntp/pk/dn/request":               "/ext/ntp/pk/dn/response",
	} {
		if got := single.AnswerTopic(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
