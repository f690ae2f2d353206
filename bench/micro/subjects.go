// SPDX-License-Identifier: Apache-2.0

package micro

import (
	"bytes"

	"github.com/tidwall/gjson"

	mochi "github.com/mochi-mqtt/server/v2"
	mochiauth "github.com/mochi-mqtt/server/v2/hooks/auth"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/bench/load"
	"github.com/openalink/iot/topic"
)

// ReferenceYardstick is what Yardstick took on the machine the absolute bars
// were set on, in nanoseconds.
const ReferenceYardstick = 186

// Yardstick reads three members from the front of a 450-byte payload with
// gjson. How long it takes tells how fast a machine is.
func Yardstick() func() {
	head := `{"id":"123","version":"1.0","method":"thing.event.property.post","params":{"Note":"`
	payload := append(append([]byte(head), bytes.Repeat([]byte("x"), 450-len(head)-3)...), `"}}`...)
	return func() {
		must(len(gjson.GetBytes(payload, "id").Str) == 3)
		must(len(gjson.GetBytes(payload, "version").Str) == 3)
		must(len(gjson.GetBytes(payload, "method").Str) == 25)
	}
}

// TopicACL parses the topic of a property post and decides whether the device
// may publish it.
func TopicACL() func() {
	device, name := load.Device(1), load.Topic(1)
	acl, err := topic.NewACL(nil)
	must(err == nil)
	return func() {
		t, err := topic.Parse(name)
		must(err == nil && acl.Publish(device, t) == nil)
	}
}

// Ledger is the same decision by mochi's auth ledger, given the rules of one
// device only.
func Ledger() func() {
	id, name := load.Device(1).String(), load.Topic(1)
	device := load.Device(1)
	user := device.Name + "&" + device.Product
	ledger := &mochiauth.Ledger{ACL: mochiauth.ACLRules{{
		Username: mochiauth.RString(user),
		Filters: mochiauth.Filters{
			mochiauth.RString("/sys/" + id + "/#"):                   mochiauth.ReadWrite,
			mochiauth.RString("/ext/session/" + id + "/#"):           mochiauth.ReadWrite,
			mochiauth.RString("/ext/ntp/" + id + "/+"):               mochiauth.ReadWrite,
			mochiauth.RString("/ota/device/+/" + id):                 mochiauth.ReadWrite,
			mochiauth.RString("/shadow/update/" + id):                mochiauth.WriteOnly,
			mochiauth.RString("/shadow/get/" + id):                   mochiauth.ReadOnly,
			mochiauth.RString("/" + id + "/user/#"):                  mochiauth.ReadWrite,
			mochiauth.RString("/broadcast/" + device.Product + "/#"): mochiauth.ReadOnly,
		},
	}}}
	client := &mochi.Client{ID: load.Triple(1).ClientID}
	client.Properties.Username = []byte(user)
	return func() {
		_, ok := ledger.ACLOk(client, name, true)
		must(ok)
	}
}

// Envelope parses a property post of 300 bytes. base validates it with gjson and
// walks its members.
func Envelope() (f, base func()) {
	post := load.Post(300)
	text := string(post)
	var m alink.Message
	f = func() { must(alink.Parse(post, &m) == nil) }
	members := 0
	count := func(gjson.Result, gjson.Result) bool { members++; return true }
	base = func() {
		must(gjson.ValidBytes(post))
		gjson.Parse(text).ForEach(count)
	}
	return f, base
}

// Verify checks the sign of a parsed login. bare is the HMAC of the same bytes.
func Verify() (f, bare func()) {
	l := newLogin()
	c, err := auth.ParseClientID(l.client)
	must(err == nil)
	return func() { must(c.Verify(l.password, l.device, l.secret) == nil) },
		func() { must(bareHMAC(l.secret.Reveal(), l.signed) == l.sum) }
}

// Login does everything between the bytes of a CONNECT and the decision. naive
// is what one writes at first.
func Login() (f, naive func()) {
	l := newLogin()
	return l.check, func() { must(naiveLogin(l.client, l.user, string(l.password), l.secret.Reveal())) }
}

func must(ok bool) {
	if !ok {
		panic("micro: wrong answer")
	}
}
