// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

func TestCatalogue(t *testing.T) {
	list := alink.Catalogue()
	if !slices.IsSortedFunc(list, func(a, b alink.Entry) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("not sorted by path, which Lookup needs")
	}
	seen := map[alink.Method]bool{}
	for _, e := range list {
		if e.Method != "" && seen[e.Method] {
			t.Errorf("%s twice", e.Method)
		}
		seen[e.Method] = true
		if e.Direction != alink.Up && e.Direction != alink.Down {
			t.Errorf("%s has no direction", e.Path)
		}
		if e.Method != "" && e.Method.Path() != e.Path {
			t.Errorf("%s has path %s, want %s", e.Method, e.Method.Path(), e.Path)
		}
		if e.Method != "" && e.Family == topic.FamilySys && string(e.Method) != strings.ReplaceAll(e.Path, "/", ".") {
			t.Errorf("%s is called %s", e.Path, e.Method)
		}
	}
	list[0] = alink.Entry{}
	if alink.Catalogue()[0] == list[0] {
		t.Error("the catalogue can be changed")
	}
}

// Every entry is a topic the other side may use: an entry's request may be sent
// in its direction, and its answer in the other.
func TestCatalogueACL(t *testing.T) {
	acl, err := topic.NewACL(topic.DefaultClasses())
	if err != nil {
		t.Fatal(err)
	}
	id := iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}
	for _, e := range alink.Catalogue() {
		for _, path := range []string{e.Path, e.Reply} {
			if path == "" {
				continue
			}
			path = strings.NewReplacer("{id}", "x", "{mid}", "7").Replace(path)
			tp, err := topic.Parse(nameOf(e.Family, id, path))
			if err != nil || tp.Family != e.Family || tp.Path != path {
				t.Errorf("%s is parsed as %+v, %v", path, tp, err)
			}
			up := (e.Direction == alink.Up) == (path != e.Reply || e.Reply == e.Path)
			if up && acl.Publish(id, tp) != nil || !up && acl.Deliver(id, tp) != nil {
				t.Errorf("%s is forbidden", path)
			}
		}
	}
}

func nameOf(f topic.Family, id iot.DeviceID, path string) string {
	switch f {
	case topic.FamilyOTA:
		return topic.OTA(strings.TrimPrefix(path, "device/"), id)
	case topic.FamilyShadow:
		return topic.Shadow(path, id)
	case topic.FamilyExt:
		switch path {
		case "register", "regnwl", "auth/identity/response", "network/probe/7":
			id = iot.DeviceID{}
		}
		return topic.Ext(path, id)
	}
	return topic.Sys(id, path)
}

func TestMethodOf(t *testing.T) {
	for path, want := range map[string]string{
		"thing/event/property/post":              "thing.event.property.post",
		"thing/event/property/post_reply":        "thing.event.property.post",
		"thing/event/alarm/post":                 "thing.event.alarm.post",
		"thing/event/block:alarm/post_reply":     "thing.event.block:alarm.post",
		"thing/service/property/set":             "thing.service.property.set",
		"thing/service/property/set_reply":       "thing.service.property.set",
		"thing/service/timeReset":                "thing.service.timeReset",
		"thing/service/timeReset_reply":          "thing.service.timeReset",
		"session/combine/login":                  "combine.login",
		"session/combine/batch_logout_reply":     "combine.batch_logout",
		"thing/topo/add":                         "thing.topo.add",
		"thing/topo/add/notify":                  "thing.topo.add.notify",
		"thing/config/log/get":                   "thing.config.log.get",
		"_thing/event/notify":                    "_thing.event.notify",
		"ntp/request":                            "",
		"update":                                 "",
		"device/inform":                          "",
		"rrpc/request/7":                         "",
		"thing/event//post":                      "",
		"thing/event/a/b/post":                   "",
		"thing/service/":                         "",
		"thing/service/a/b":                      "",
		"thing/event/{id}/post":                  "thing.event.{id}.post",
		"":                                       "",
		"thing/service/" + "property/set/deeper": "",
	} {
		got, ok := alink.MethodOf(path)
		if got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", path, got, ok, want)
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		path string
		want alink.Entry
	}{
		{"ntp/request", alink.Entry{Family: topic.FamilyExt, Path: "ntp/request", Reply: "ntp/response", Direction: alink.Up, Note: "time of day"}},
		{"device/request", alink.Entry{Family: topic.FamilyOTA, Path: "device/request", Reply: "device/request", Direction: alink.Up, Note: "ask for an upgrade"}},
		{"thing/status/update", alink.Entry{Method: alink.StatusUpdate, Family: topic.FamilySys, Path: "thing/status/update", Direction: alink.Up, Note: "partner and module of old SDKs"}},
		{"thing/event/x/post", alink.Entry{Method: alink.EventPost("x"), Family: topic.FamilySys, Path: "thing/event/x/post", Reply: "thing/event/x/post_reply", Direction: alink.Up, Note: "event"}},
		{"thing/service/x", alink.Entry{Method: alink.ServiceInvoke("x"), Family: topic.FamilySys, Path: "thing/service/x", Reply: "thing/service/x_reply", Direction: alink.Down, Note: "asynchronous service"}},
	}
	for _, tt := range tests {
		got, ok := alink.Lookup(tt.path)
		if diff := cmp.Diff(tt.want, got); diff != "" || !ok {
			t.Errorf("%s (-want +got):\n%s", tt.path, diff)
		}
	}
	if e, ok := alink.Lookup("thing/nothing"); ok || e != (alink.Entry{}) {
		t.Errorf("got %+v, %v", e, ok)
	}
}

func TestMethodPath(t *testing.T) {
	for m, want := range map[alink.Method]string{
		alink.PropertyPost:       "thing/event/property/post",
		alink.CombineLogin:       "session/combine/login",
		alink.EventPost("a"):     "thing/event/a/post",
		alink.ServiceInvoke("a"): "thing/service/a",
		"":                       "",
	} {
		if got := m.Path(); got != want {
			t.Errorf("%s: got %q, want %q", m, got, want)
		}
	}
	if alink.Up.String()+alink.Down.String()+alink.Direction(0).String() != "updownnone" {
		t.Error("directions")
	}
}

func TestCode(t *testing.T) {
	named := 0
	for code := range alink.Code(110000) {
		text := code.String()
		if text == "" || strings.ContainsAny(text, `"\`) {
			t.Errorf("%d is called %q", int(code), text)
		}
		if !strings.HasPrefix(text, "code ") {
			named++
		}
	}
	if named != 55 {
		t.Errorf("%d codes have a name, want 55: is the table sorted?", named)
	}
	for code, want := range map[alink.Code]string{200: "success", 460: "bad parameters", 427: "logged in elsewhere", 6401: "not a sub-device of this gateway", 100001: "code 100001", -1: "code -1"} {
		if got := code.String(); got != want {
			t.Errorf("%d: got %q, want %q", int(code), got, want)
		}
	}
}

func TestCodeError(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &alink.CodeError{Code: alink.CodeOffline})
	if !errors.Is(err, &alink.CodeError{Code: alink.CodeOffline, Message: "whatever"}) || errors.Is(err, &alink.CodeError{Code: alink.CodeTimeout}) || errors.Is(err, alink.ErrMalformed) {
		t.Error("errors.Is compares something else than codes")
	}
	if got := err.Error(); got != "wrapped: alink: code 9201: device offline" {
		t.Errorf("got %q", got)
	}
	if got := (&alink.CodeError{Code: 460, Message: "no params"}).Error(); got != "alink: code 460: no params" {
		t.Errorf("got %q", got)
	}
}
