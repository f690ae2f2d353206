// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
)

// Subscribe reports whether own may subscribe to filter. The filter must be
// legal and confined to the device: the levels of ProductKey and DeviceName must
// be there, literally, and be its own. The exceptions name no device:
//
//	/ext/register, /ext/regnwl, /ext/auth/identity/response
//	/ext/network/probe/+
//	/ext/rrpc/+/#
//	/broadcast/{own pk}/...
//
// The part behind may have wildcards. A filter on custom topics without
// wildcards must be of a class with Sub; one with wildcards is granted anywhere
// in the device's custom tree, because it shows nothing by itself: what is sent
// is checked again with Deliver. An illegal filter's error also wraps
// ErrBadTopic.
func (a *ACL) Subscribe(own iot.DeviceID, filter string) error {
	if err := CheckFilter(filter); err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if a.maySubscribe(own, filter) {
		return nil
	}
	return refused(own, "subscribe to", filter)
}

func (a *ACL) maySubscribe(own iot.DeviceID, filter string) bool {
	first, rest, ok := cutRooted(filter)
	if !ok {
		return false
	}
	switch first {
	case "sys":
		_, ok = cutOwn(rest, own)
		return ok
	case "ext":
		return subscribeExt(own, rest)
	case "ota":
		_, rest, ok = cut(rest)
		return ok && endsOwn(rest, own)
	case "shadow":
		return endsOwn(rest, own)
	case "broadcast":
		pk, _, ok := cut(rest)
		return ok && pk == own.Product
	}
	suffix, ok := cutOwn(filter[1:], own)
	if !ok || oversized(filter) != "" {
		return false
	}
	return hasWildcard(suffix) || a.allows(own.Name, suffix, Sub)
}

// cutOwn takes the own "{pk}/{dn}/" from before s. Something must follow.
func cutOwn(s string, own iot.DeviceID) (rest string, ok bool) {
	id, rest, ok := cutDevice(s)
	return rest, ok && id == own
}

// endsOwn reports whether s is "{any level}/{pk}/{dn}", or that and "#".
func endsOwn(s string, own iot.DeviceID) bool {
	_, s, ok := cut(s)
	if !ok {
		return false
	}
	s = strings.TrimSuffix(s, "/#")
	pk, dn, ok := cut(s)
	return ok && pk == own.Product && dn == own.Name
}

func subscribeExt(own iot.DeviceID, rest string) bool {
	switch rest {
	case extRegister, extRegNWL, extIdentity:
		return true
	}
	kind, s, ok := cut(rest)
	if !ok {
		return false
	}
	switch kind {
	case "network":
		mid, ok := strings.CutPrefix(rest, extProbeRoot)
		return ok && mid != "" && strings.IndexByte(mid, '/') < 0
	case "rrpc":
		return subscribeRRPC(own, s)
	}
	s = strings.TrimSuffix(s, "/#")
	pk, s, ok := cut(s)
	if !ok {
		return false
	}
	dn, _, _ := strings.Cut(s, "/")
	return pk == own.Product && dn == own.Name
}

// subscribeRRPC takes "{id or +}/{inner filter}": everything, or the inner
// topics of the device. Custom ones need no class, since only calls are sent
// there.
func subscribeRRPC(own iot.DeviceID, s string) bool {
	_, inner, ok := cut(s)
	if !ok {
		return false
	}
	if inner == "#" {
		return true
	}
	if sys, found := strings.CutPrefix(inner, "sys/"); found {
		inner = sys
	}
	_, ok = cutOwn(inner, own)
	return ok
}
