// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

func Example() {
	acl, err := topic.NewACL(topic.DefaultClasses())
	if err != nil {
		fmt.Println(err)
		return
	}
	lamp := iot.DeviceID{Product: "a1b2c3d4e5f", Name: "lamp-1"}
	for _, name := range []string{
		"/sys/a1b2c3d4e5f/lamp-1/thing/event/property/post",
		"/a1b2c3d4e5f/lamp-1/user/update?_sn=default",
		"/a1b2c3d4e5f/lamp-2/user/update",
	} {
		t, err := topic.Parse(name)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(t.Family, t.Device, t.Path, acl.Publish(lamp, t) == nil)
	}
	// Output:
	// sys a1b2c3d4e5f/lamp-1 thing/event/property/post true
	// custom a1b2c3d4e5f/lamp-1 user/update true
	// custom a1b2c3d4e5f/lamp-2 user/update false
}

func ExampleTrie() {
	var t topic.Trie[string]
	t.Add("/sys/pk/lamp-1/thing/service/#", "services")
	t.Add("/sys/pk/lamp-1/thing/service/property/set", "set")
	t.Match("/sys/pk/lamp-1/thing/service/reboot", func(v string) { fmt.Println(v) })
	// Output: services
}

func ExampleACL_Subscribe() {
	acl, _ := topic.NewACL(topic.DefaultClasses())
	lamp := iot.DeviceID{Product: "a1b2c3d4e5f", Name: "lamp-1"}
	fmt.Println(acl.Subscribe(lamp, "/sys/a1b2c3d4e5f/lamp-1/thing/#"))
	fmt.Println(acl.Subscribe(lamp, "/sys/a1b2c3d4e5f/+/thing/#"))
	// Output:
	// <nil>
	// topic: forbidden: a1b2c3d4e5f/lamp-1 may not subscribe to "/sys/a1b2c3d4e5f/+/thing/#"
}
