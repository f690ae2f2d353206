// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"
	"unicode/utf8"

	iot "github.com/openalink/iot"
)

// The limits of names. System topics, those that begin with /sys, /ext, /ota,
// /shadow or /broadcast, know only MaxBytes.
const (
	MaxBytes   = 65535 // of any name or filter (MQTT 3.1.1 section 1.5.3)
	MaxChars   = 128   // of a custom topic, in characters
	MaxSlashes = 7     // of a custom topic
)

// Topic is a parsed name. Its strings are parts of the name that was parsed (or
// constants) and live as long as it does.
type Topic struct {
	Name   string       // the name without its query
	Family Family       //
	Device iot.DeviceID // whom it names; without a Name for broadcasts; zero when it names nobody
	// Path is what the name says beside the device, without a leading slash:
	//
	//	/sys/{pk}/{dn}/thing/event/property/post   thing/event/property/post
	//	/{pk}/{dn}/user/update                     user/update
	//	/ota/device/inform/{pk}/{dn}               device/inform
	//	/shadow/update/{pk}/{dn}                   update
	//	/ext/ntp/{pk}/{dn}/request                 ntp/request
	//	/ext/session/{pk}/{dn}/combine/login       session/combine/login
	//	/ext/error/{pk}/{dn}                       error
	//	/ext/register                              register
	//	/broadcast/{pk}/news/today                 news/today
	//	/ext/rrpc/{id}/sys/{pk}/{dn}/thing/...     /sys/{pk}/{dn}/thing/... (with its slash)
	//
	// It is empty for /ext/{kind}/{pk}/{dn}/... topics not listed in the wire
	// facts.
	Path string
	// ID is the number of a request-response pair: of /ext/rrpc/{id}/..., of
	// .../rrpc/request/{id}, .../rrpc/response/{id} and .../broadcast/request/{id}
	// under /sys, and of /ext/network/probe/{id}.
	ID    string
	Query string // what followed the first '?', such as "_sn=default"
}

// Parse splits a name. It allocates nothing unless it fails.
//
// The error wraps ErrBadTopic when the name is illegal: empty, longer than
// MaxBytes, not UTF-8, with a NUL or a wildcard in it, or a custom topic beyond
// MaxChars or MaxSlashes. A legal name of no family is not an error; its Family
// is FamilyUnknown.
func Parse(name string) (Topic, error) {
	if what := illegal(name); what != "" {
		return Topic{}, fmt.Errorf("%w: %s: %.128q", ErrBadTopic, what, name)
	}
	t := Topic{Name: name}
	if i := strings.IndexByte(name, '?'); i >= 0 {
		t.Name, t.Query = name[:i], name[i+1:]
	}
	t.classify()
	if t.Family == FamilyCustom {
		if what := oversized(t.Name); what != "" {
			return Topic{}, fmt.Errorf("%w: %s: %.256q", ErrBadTopic, what, t.Name)
		}
	}
	return t, nil
}

// illegal says what makes a name unusable for anybody.
func illegal(name string) string {
	switch {
	case name == "":
		return "empty"
	case len(name) > MaxBytes:
		return "longer than 65535 bytes"
	case strings.IndexByte(name, '+') >= 0, strings.IndexByte(name, '#') >= 0:
		return "wildcard in a name"
	case strings.IndexByte(name, 0) >= 0:
		return "NUL byte"
	case !utf8.ValidString(name):
		return "not UTF-8"
	}
	return ""
}

// oversized says which limit of custom topics a name or filter breaks.
func oversized(name string) string {
	switch {
	case len(name) > MaxChars && utf8.RuneCountInString(name) > MaxChars:
		return "more than 128 characters"
	case strings.Count(name, "/") > MaxSlashes:
		return "more than 7 slashes"
	}
	return ""
}

// classify fills everything but Name and Query. A topic of wrong shape stays
// unknown.
func (t *Topic) classify() {
	first, rest, ok := cutRooted(t.Name)
	if !ok {
		return
	}
	switch first {
	case "sys":
		t.sys(rest)
	case "ext":
		t.ext(rest)
	case "ota":
		t.tail(FamilyOTA, rest, "device/")
	case "shadow":
		t.tail(FamilyShadow, rest, "")
	case "broadcast":
		t.broadcast(rest)
	default:
		t.custom(first, rest)
	}
}

// cutRooted splits "/first/rest". Both parts must be there.
func cutRooted(name string) (first, rest string, ok bool) {
	if name == "" || name[0] != '/' {
		return "", "", false
	}
	return cut(name[1:])
}

// cut splits "first/rest". Both parts must be there.
func cut(s string) (first, rest string, ok bool) {
	i := strings.IndexByte(s, '/')
	if i < 1 || i == len(s)-1 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// cutDevice splits "{pk}/{dn}/rest". All three must be there.
func cutDevice(s string) (id iot.DeviceID, rest string, ok bool) {
	pk, s, ok := cut(s)
	if !ok {
		return iot.DeviceID{}, "", false
	}
	dn, rest, ok := cut(s)
	return iot.DeviceID{Product: pk, Name: dn}, rest, ok
}

func (t *Topic) sys(rest string) {
	id, path, ok := cutDevice(rest)
	if !ok {
		return
	}
	t.Family, t.Device, t.Path = FamilySys, id, path
	switch path[0] {
	case 'r':
		if s, ok := strings.CutPrefix(path, "rrpc/request/"); ok {
			t.ID = oneLevel(s)
		} else if s, ok := strings.CutPrefix(path, "rrpc/response/"); ok {
			t.ID = oneLevel(s)
		}
	case 'b':
		if s, ok := strings.CutPrefix(path, "broadcast/request/"); ok {
			t.ID = oneLevel(s)
		}
	}
}

// oneLevel returns s, or nothing when it has several levels.
func oneLevel(s string) string {
	if strings.IndexByte(s, '/') >= 0 {
		return ""
	}
	return s
}

// tail takes the two families whose names end with the device.
func (t *Topic) tail(f Family, rest, prefix string) {
	s, ok := strings.CutPrefix(rest, prefix)
	if !ok {
		return
	}
	kind, s, ok := cut(s)
	if !ok {
		return
	}
	pk, dn, ok := cut(s)
	if !ok || strings.IndexByte(dn, '/') >= 0 {
		return
	}
	if f == FamilyShadow && kind != "update" && kind != "get" {
		return
	}
	t.Family, t.Device, t.Path = f, iot.DeviceID{Product: pk, Name: dn}, rest[:len(prefix)+len(kind)]
}

func (t *Topic) broadcast(rest string) {
	pk, suffix, ok := cut(rest)
	if !ok {
		return
	}
	t.Family, t.Device.Product, t.Path = FamilyBroadcast, pk, suffix
}

func (t *Topic) custom(pk, rest string) {
	dn, suffix, ok := cut(rest)
	if !ok {
		return
	}
	t.Family, t.Device, t.Path = FamilyCustom, iot.DeviceID{Product: pk, Name: dn}, suffix
}
