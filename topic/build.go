// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"strings"

	iot "github.com/openalink/iot"
)

// ReplySuffix makes the topic of an answer from the topic of its request.
const ReplySuffix = "_reply"

// Reply returns name with ReplySuffix.
func Reply(name string) string { return name + ReplySuffix }

// AppendReply appends name with ReplySuffix to dst.
func AppendReply(dst []byte, name string) []byte { return append(append(dst, name...), ReplySuffix...) }

// Sys returns /sys/{pk}/{dn}/{path}. Like all builders it checks nothing: id
// and path are the caller's.
func Sys(id iot.DeviceID, path string) string {
	return "/sys/" + id.Product + "/" + id.Name + "/" + path
}

// AppendSys appends what Sys returns to dst.
func AppendSys(dst []byte, id iot.DeviceID, path string) []byte {
	dst = id.Append(append(dst, "/sys/"...))
	return append(append(dst, '/'), path...)
}

// OTA returns /ota/device/{kind}/{pk}/{dn}. Kinds are inform, progress, request
// and upgrade.
func OTA(kind string, id iot.DeviceID) string {
	return "/ota/device/" + kind + "/" + id.Product + "/" + id.Name
}

// AppendOTA appends what OTA returns to dst.
func AppendOTA(dst []byte, kind string, id iot.DeviceID) []byte {
	dst = append(append(dst, "/ota/device/"...), kind...)
	return id.Append(append(dst, '/'))
}

// Shadow returns /shadow/{kind}/{pk}/{dn}. Kinds are update (up) and get (down).
func Shadow(kind string, id iot.DeviceID) string {
	return "/shadow/" + kind + "/" + id.Product + "/" + id.Name
}

// AppendShadow appends what Shadow returns to dst.
func AppendShadow(dst []byte, kind string, id iot.DeviceID) []byte {
	dst = append(append(dst, "/shadow/"...), kind...)
	return id.Append(append(dst, '/'))
}

// Ext returns the /ext topic whose Topic.Path is path: "ntp/request" gives
// /ext/ntp/{pk}/{dn}/request. A zero id leaves the device out, as in
// /ext/register.
func Ext(path string, id iot.DeviceID) string {
	if id.IsZero() {
		return "/ext/" + path
	}
	kind, rest, deeper := strings.Cut(path, "/")
	if !deeper {
		return "/ext/" + kind + "/" + id.Product + "/" + id.Name
	}
	return "/ext/" + kind + "/" + id.Product + "/" + id.Name + "/" + rest
}

// AppendExt appends what Ext returns to dst.
func AppendExt(dst []byte, path string, id iot.DeviceID) []byte {
	dst = append(dst, "/ext/"...)
	if id.IsZero() {
		return append(dst, path...)
	}
	kind, rest, deeper := strings.Cut(path, "/")
	dst = id.Append(append(append(dst, kind...), '/'))
	if !deeper {
		return dst
	}
	return append(append(dst, '/'), rest...)
}

// Custom returns /{pk}/{dn}/{suffix}.
func Custom(id iot.DeviceID, suffix string) string {
	return "/" + id.Product + "/" + id.Name + "/" + suffix
}

// AppendCustom appends what Custom returns to dst.
func AppendCustom(dst []byte, id iot.DeviceID, suffix string) []byte {
	dst = id.Append(append(dst, '/'))
	return append(append(dst, '/'), suffix...)
}

// Broadcast returns /broadcast/{pk}/{suffix}.
func Broadcast(pk, suffix string) string { return "/broadcast/" + pk + "/" + suffix }

// AppendBroadcast appends what Broadcast returns to dst.
func AppendBroadcast(dst []byte, pk, suffix string) []byte {
	dst = append(append(dst, "/broadcast/"...), pk...)
	return append(append(dst, '/'), suffix...)
}

// RRPC returns /ext/rrpc/{mid}{inner}. inner is a full topic with its leading
// slash.
func RRPC(mid, inner string) string { return "/ext/rrpc/" + mid + inner }

// AppendRRPC appends what RRPC returns to dst.
func AppendRRPC(dst []byte, mid, inner string) []byte {
	return append(append(append(dst, "/ext/rrpc/"...), mid...), inner...)
}
