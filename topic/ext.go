// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"strings"

	iot "github.com/openalink/iot"
)

// The topics of /ext that name no device, as Topic.Path shows them.
const (
	extRegister  = "register"
	extRegNWL    = "regnwl"
	extIdentity  = "auth/identity/response"
	extProbeRoot = "network/probe/"
)

func (t *Topic) ext(rest string) {
	switch rest {
	case extRegister, extRegNWL, extIdentity:
		t.Family, t.Path = FamilyExt, rest
		return
	}
	kind, s, ok := cut(rest)
	if !ok {
		return
	}
	switch kind {
	case "rrpc":
		t.rrpc(s)
	case "network":
		t.probe(rest)
	case "auth", extRegister, extRegNWL:
	default:
		t.extDevice(kind, s)
	}
}

func (t *Topic) probe(rest string) {
	mid, ok := strings.CutPrefix(rest, extProbeRoot)
	if !ok || mid == "" || strings.IndexByte(mid, '/') >= 0 {
		return
	}
	t.Family, t.Path, t.ID = FamilyExt, rest, mid
}

// extDevice takes {kind}/{pk}/{dn}[/rest]. The path is not one piece of the
// name, so that it comes from a list instead of being put together.
func (t *Topic) extDevice(kind, s string) {
	pk, s, ok := cut(s)
	if !ok {
		return
	}
	dn, rest, deeper := strings.Cut(s, "/")
	if dn == "" || deeper && rest == "" {
		return
	}
	t.Family, t.Device, t.Path = FamilyExt, iot.DeviceID{Product: pk, Name: dn}, extPath(kind, rest)
}

// extPath joins the two halves of the paths the wire facts list.
func extPath(kind, rest string) string {
	switch kind {
	case "ntp":
		switch rest {
		case "request":
			return "ntp/request"
		case "response":
			return "ntp/response"
		}
	case "error":
		if rest == "" {
			return "error"
		}
	case "session":
		return sessionPath(rest)
	}
	return ""
}

func sessionPath(rest string) string {
	switch rest {
	case "combine/login":
		return "session/combine/login"
	case "combine/login_reply":
		return "session/combine/login_reply"
	case "combine/logout":
		return "session/combine/logout"
	case "combine/logout_reply":
		return "session/combine/logout_reply"
	case "combine/batch_login":
		return "session/combine/batch_login"
	case "combine/batch_login_reply":
		return "session/combine/batch_login_reply"
	case "combine/batch_logout":
		return "session/combine/batch_logout"
	case "combine/batch_logout_reply":
		return "session/combine/batch_logout_reply"
	}
	return ""
}

// rrpc takes {id}/{inner topic without its slash}. An inner topic that is an
// RRPC itself names nobody.
func (t *Topic) rrpc(s string) {
	mid, inner, ok := cut(s)
	if !ok {
		return
	}
	t.Family, t.ID = FamilyRRPC, mid
	t.Path = s[len(s)-len(inner)-1:]
	in := Topic{Name: t.Path}
	if !strings.HasPrefix(inner, "ext/rrpc/") {
		in.classify()
	}
	t.Device = in.Device
}
