// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
)

// ACL decides which topics the devices of a product may use. A device owns the
// topics that name it; in which direction it may use them follows from the wire
// facts, section 9, and for custom topics from the product's classes. A
// gateway's sub-device is asked about with its own id.
//
// An ACL never changes and is safe for concurrent use. Its methods allocate only
// when they refuse; their errors wrap ErrForbidden.
type ACL struct {
	exact map[string]Operation // classes without wildcards, by suffix
	wild  []Class
}

// NewACL makes the ACL of a product from its topic classes. The error wraps
// ErrBadClass: more than MaxClasses, or one that Class.Check refuses. Several
// classes of one suffix add up.
func NewACL(classes []Class) (*ACL, error) {
	if len(classes) > MaxClasses {
		return nil, fmt.Errorf("%w: %d classes, at most %d are allowed", ErrBadClass, len(classes), MaxClasses)
	}
	a := &ACL{exact: make(map[string]Operation, len(classes))}
	for _, c := range classes {
		if err := c.Check(); err != nil {
			return nil, err
		}
		if c.literal() {
			a.exact[c.Suffix] |= c.Operation
		} else {
			a.wild = append(a.wild, c)
		}
	}
	return a, nil
}

// allows reports whether a class permits op on a custom topic.
func (a *ACL) allows(dn, suffix string, op Operation) bool {
	if a.exact[suffix]&op != 0 {
		return true
	}
	for i := range a.wild {
		if a.wild[i].Operation&op != 0 && a.wild[i].match(dn, suffix) {
			return true
		}
	}
	return false
}

// Publish reports whether own may publish to t: its whole /sys tree, the upward
// topics of /ota, /shadow and /ext, answers to RRPC calls on topics of its own,
// and custom topics of a class with Pub. Nobody publishes to /broadcast.
func (a *ACL) Publish(own iot.DeviceID, t Topic) error {
	if a.mayPublish(own, &t) {
		return nil
	}
	return refused(own, "publish to", t.Name)
}

func (a *ACL) mayPublish(own iot.DeviceID, t *Topic) bool {
	if t.Device != own {
		return t.Family == FamilyExt && t.Device.IsZero() && t.ID != ""
	}
	switch t.Family {
	case FamilySys, FamilyRRPC:
		return true
	case FamilyCustom:
		return a.allows(own.Name, t.Path, Pub)
	case FamilyOTA:
		return t.Path == "device/inform" || t.Path == "device/progress" || t.Path == "device/request"
	case FamilyShadow:
		return t.Path == "update"
	case FamilyExt:
		return t.Path == "ntp/request" || isSession(t.Path) && !isReply(t.Path)
	}
	return false
}

// Deliver reports whether t may be sent to own: its whole /sys tree, the
// downward topics of /ota, /shadow and /ext, those of /ext that name nobody, RRPC
// calls on topics of its own, broadcasts of its product, and custom topics of a
// class with Sub.
func (a *ACL) Deliver(own iot.DeviceID, t Topic) error {
	if a.mayDeliver(own, &t) {
		return nil
	}
	return refused(own, "receive", t.Name)
}

func (a *ACL) mayDeliver(own iot.DeviceID, t *Topic) bool {
	if t.Device != own {
		switch t.Family {
		case FamilyBroadcast:
			return t.Device.Product == own.Product
		case FamilyExt:
			return t.Device.IsZero()
		}
		return false
	}
	switch t.Family {
	case FamilySys, FamilyRRPC:
		return true
	case FamilyCustom:
		return a.allows(own.Name, t.Path, Sub)
	case FamilyOTA:
		return t.Path == "device/upgrade" || t.Path == "device/request"
	case FamilyShadow:
		return t.Path == "get"
	case FamilyExt:
		return t.Path == "ntp/response" || t.Path == "error" || isSession(t.Path) && isReply(t.Path)
	}
	return false
}

func isSession(path string) bool { return strings.HasPrefix(path, "session/") }

func isReply(path string) bool { return strings.HasSuffix(path, ReplySuffix) }

func refused(own iot.DeviceID, verb, name string) error {
	return fmt.Errorf("%w: %s may not %s %.128q", ErrForbidden, own, verb, name)
}
