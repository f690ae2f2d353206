// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

var brokerPanicCases = []brokerContract{
	{"Connect", brokerPanicConnect},
	{"Receive", brokerPanicReceive},
	{"Subscribe", brokerPanicSubscribe},
	{"Close", brokerPanicClose},
	{"DoneOfDelivery", brokerPanicDone},
}

func isVictim(s *FakeSession) bool { return strings.HasPrefix(s.Request.UserName, "victim&") }

// panicking changes the sessions of the victim, and logs in a bystander, who must
// notice nothing.
func (f *brokerFixture) panicking(change func(*FakeSession)) (bystander *brokerDevice) {
	f.Helper()
	f.setup(func(s *FakeSession) {
		if isVictim(s) {
			change(s)
		}
	})
	return f.device("bystander")
}

func brokerPanicConnect(f *brokerFixture) {
	bystander := f.panicking(func(*FakeSession) { panic("by the test") })
	if _, err := f.dial("victim"); err == nil {
		f.Error("the victim is let in")
	}
	bystander.alive()
}

func brokerPanicReceive(f *brokerFixture) {
	bystander := f.panicking(func(s *FakeSession) {
		s.OnReceive = func(context.Context, iot.Message, func([]iot.Message, error)) { panic("by the test") }
	})
	victim := f.device("victim")
	_ = victim.Publish(f.soon(), iot.Message{Topic: brokerTopic("victim", "up"), QoS: iot.AtLeastOnce}) // the end may come first
	victim.session.Closed(f)
	victim.ended()
	bystander.alive()
	f.device("victim").settle()
}

// brokerPanicSubscribe: the broker refuses what it got no answer to.
func brokerPanicSubscribe(f *brokerFixture) {
	bystander := f.panicking(func(s *FakeSession) {
		s.OnSubscribe = func(context.Context, []hal.Filter) []hal.Grant { panic("by the test") }
	})
	victim := f.connect("victim")
	grants, err := victim.Subscribe(f.soon(), []hal.Filter{{Topic: brokerTopic("victim", "down/#"), QoS: 1}})
	if err == nil && (len(grants) != 1 || grants[0] != hal.Refused) {
		f.Errorf("granted %v", grants)
	}
	bystander.alive()
}

func brokerPanicClose(f *brokerFixture) {
	bystander := f.panicking(func(s *FakeSession) { s.OnClose = func(hal.Cause) { panic("by the test") } })
	victim := f.device("victim")
	victim.session.Request.Link.Close(hal.CauseKicked)
	victim.ended()
	bystander.alive()
	f.device("victim").alive()
}

func brokerPanicDone(f *brokerFixture) {
	bystander := f.panicking(func(*FakeSession) {})
	for _, id := range []uint16{0, 1} {
		victim := f.device("victim")
		d := hal.Delivery{Message: victim.down("x", iot.QoS(id)), PacketID: id}
		victim.session.Request.Link.Send(f.Context(), d, func(error) { panic("by the test") })
		victim.session.Closed(f)
		victim.ended()
		bystander.alive()
	}
	f.device("victim").alive()
}
