// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"errors"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"/sys/pk/dn/thing/event/property/post", "/ext/rrpc/1/sys/pk/dn/x", "/ext/network/probe/1", "/ext/error/pk/dn",
		"/ota/device/inform/pk/dn", "/shadow/update/pk/dn", "/broadcast/pk/x", "/pk/dn/user/update?_sn=default", "$oc/x", "", "//", "/sys//",
	} {
		f.Add(s)
	}
	acl := newACL(f)
	f.Fuzz(func(t *testing.T, name string) {
		got, err := topic.Parse(name)
		if err != nil {
			if !errors.Is(err, topic.ErrBadTopic) {
				t.Errorf("error %v is not ErrBadTopic", err)
			}
			return
		}
		whole := got.Name
		if len(whole) < len(name) {
			whole += "?" + got.Query
		}
		if whole != name {
			t.Errorf("%q?%q is not %q", got.Name, got.Query, name)
		}
		if got.Family == topic.FamilyUnknown {
			if got.Device != (iot.DeviceID{}) || got.Path != "" || got.ID != "" {
				t.Errorf("unknown but %+v", got)
			}
			if acl.Publish(dev, got) == nil || acl.Deliver(dev, got) == nil {
				t.Errorf("%q is allowed", name)
			}
		}
		if !strings.Contains(name, got.ID) {
			t.Errorf("id %q is not in %q", got.ID, name)
		}
		if id := got.Device; id.Name != "" && !strings.Contains(name, id.Product+"/"+id.Name) {
			t.Errorf("%q does not name %v", name, id)
		}
		if got.Device == dev && !strings.Contains(name, "pk/dn") {
			t.Errorf("%q does not name %v", name, dev)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("$SYS/#", "$SYS")
	f.Add("+", "$")
	f.Add("#/a", "b/a")
	f.Fuzz(func(t *testing.T, filter, name string) {
		got := topic.Match(filter, name)
		if want := naiveMatch(filter, name); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", filter, name, got, want)
		}
		if topic.CheckFilter(filter) != nil {
			return
		}
		var trie topic.Trie[int]
		trie.Add(filter, 1)
		n := 0
		trie.Match(name, func(int) { n++ })
		if (n == 1) != got {
			t.Errorf("trie of %q matches %q %d times", filter, name, n)
		}
		if !trie.Remove(filter, 1) || trie.Len() != 0 {
			t.Errorf("%q cannot be removed", filter)
		}
	})
}

func FuzzSubscribe(f *testing.F) {
	f.Add("/sys/pk/dn/#")
	f.Add("/ext/rrpc/+/pk/dn/#")
	acl := newACL(f)
	f.Fuzz(func(t *testing.T, filter string) {
		err := acl.Subscribe(dev, filter)
		if err != nil && !errors.Is(err, topic.ErrForbidden) {
			t.Errorf("error %v is not ErrForbidden", err)
		}
		if err == nil && topic.CheckFilter(filter) != nil {
			t.Errorf("illegal filter %q granted", filter)
		}
	})
}
