// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var panicCases = []contract{
	{"Connect", testPanicConnect},
	{"Receive", testPanicReceive},
	{"Subscribe", testPanicSubscribe},
	{"Close", testPanicClose},
	{"DoneOfDelivery", testPanicDone},
}

// panicking logs in a client whose session panics, and a bystander.
func (f *fixture) panicking(change func(*FakeSession)) (c *client, s *FakeSession, check func()) {
	f.Helper()
	f.setup(func(s *FakeSession) {
		if s.Request.UserName == "victim" {
			change(s)
		}
	})
	bystander, b := f.connect()
	connect := login()
	connect.UserName = "victim"
	c, s = f.connectAs(connect)
	return c, s, func() {
		f.Helper()
		c.expectEnd()
		f.expectAlive(bystander, b)
		f.connect()
	}
}

func testPanicConnect(f *fixture) {
	f.setup(func(s *FakeSession) {
		if s.Request.UserName == "victim" {
			panic("by the test")
		}
	})
	bystander, b := f.connect()
	connect := login()
	connect.UserName = "victim"
	c := f.dial()
	c.write(mqttwire.AppendConnect(nil, connect))
	c.expectEnd()
	f.expectAlive(bystander, b)
}

func testPanicReceive(f *fixture) {
	c, s, check := f.panicking(func(s *FakeSession) {
		s.OnReceive = func(context.Context, iot.Message, func([]iot.Message, error)) { panic("by the test") }
	})
	c.publish(1, "/a", "x")
	check()
	s.Closed(f)
}

func testPanicSubscribe(f *fixture) {
	c, s, check := f.panicking(func(s *FakeSession) {
		s.OnSubscribe = func(context.Context, []hal.Filter) []hal.Grant { panic("by the test") }
	})
	c.write(mqttwire.AppendSubscribe(nil, 1, mqttwire.Filter{Topic: "/a"}))
	check()
	s.Closed(f)
}

func testPanicClose(f *fixture) {
	c, _, check := f.panicking(func(s *FakeSession) {
		s.OnClose = func(hal.Cause) { panic("by the test") }
	})
	c.write(mqttwire.AppendDisconnect(nil))
	check()
}

func testPanicDone(f *fixture) {
	c, s, check := f.panicking(func(*FakeSession) {})
	s.Request.Link.Send(f.Context(), delivery(4, "/down", "x"), func(error) { panic("by the test") })
	c.next()
	c.write(mqttwire.AppendPuback(nil, 4))
	check()
	s.Closed(f)

	c, s, check = f.panicking(func(*FakeSession) {})
	s.Request.Link.Send(f.Context(), delivery(0, "/down", "x"), func(error) { panic("by the test") })
	c.next()
	check()
	s.Closed(f)
}
