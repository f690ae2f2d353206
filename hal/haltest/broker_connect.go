// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

var brokerConnectCases = []brokerContract{
	{"LoginArrives", brokerLoginArrives},
	{"RefusedLogin", brokerRefused},
	{"ForeignTopic", brokerForeignTopic},
	{"ForeignFilter", brokerForeignFilter},
	{"TakeOver", brokerTakeOver},
}

var brokerCloseCases = []brokerContract{
	{"KickClosesAtTheBroker", brokerKick},
	{"KickedComesBack", brokerComesBack},
	{"EndIsTold", brokerEnd},
	{"LastWords", brokerLastWords},
	{"HandedOver", brokerHandedOver},
}

func brokerLoginArrives(f *brokerFixture) {
	l := brokerLogin("lamp")
	r := f.device("lamp").session.Request
	p, ok := r.Credential.(auth.Password)
	if r.Kind != hal.Connection || r.Protocol != "mqtt" || r.Link == nil || r.ClientID != l.ClientID || r.UserName != l.UserName ||
		!ok || string(p.Bytes()) != l.Password.Reveal() {
		f.Errorf("asked with kind %v, protocol %q, %q, %q, password %v", r.Kind, r.Protocol, r.ClientID, r.UserName, ok)
	}
}

// brokerRefused: which reason the device is told is the broker's.
func brokerRefused(f *brokerFixture) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		if strings.HasPrefix(s.Request.UserName, "stranger&") {
			return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials}
		}
		return hal.Accepted{Session: s}, nil
	}
	lamp := f.device("lamp")
	_, err := f.dial("stranger")
	if _, ok := errors.AsType[*hal.RefusedError](err); !ok {
		f.Errorf("stranger: %v, want a refusal", err)
	}
	f.access.Next(f)
	lamp.alive()
}

// ownTopics lets sessions publish and subscribe to their devices' topics only.
func (f *brokerFixture) ownTopics() {
	f.setup(func(s *FakeSession) {
		name, _, _ := strings.Cut(s.Request.UserName, "&")
		s.OnAuthorize = func(_ topic.Operation, t string) error {
			if !strings.HasPrefix(t, brokerTopic(name, "")) {
				return &hal.RejectedError{Err: errors.New("not yours")}
			}
			return nil
		}
	})
}

// brokerForeignTopic: brokers close the connection of who publishes what is not
// its, or drop the message. Nobody gets it.
func brokerForeignTopic(f *brokerFixture) {
	f.ownTopics()
	thief, victim := f.device("thief"), f.device("victim")
	_ = thief.Publish(f.soon(), iot.Message{Topic: brokerTopic("victim", "up"), Payload: []byte("stolen"), QoS: 1})
	victim.post("own")
	victim.received("own").Done(nil, nil)
	if n := thief.session.Waiting(); n > 0 {
		f.Errorf("the thief's session heard %d messages", n)
	}
	victim.alive()
}

// brokerForeignFilter: brokers refuse the filter or close the connection. Where it
// stays, nothing comes on it.
func brokerForeignFilter(f *brokerFixture) {
	f.ownTopics()
	thief, victim := f.device("thief"), f.device("victim")
	grants, err := thief.Subscribe(f.soon(), []hal.Filter{{Topic: brokerTopic("victim", "down/#"), QoS: 1}})
	if err == nil && (len(grants) != 1 || grants[0] != hal.Refused) {
		f.Errorf("foreign filter: granted %v", grants)
	}
	victim.send(victim.down("for the victim", 1))
	if m := victim.hear(); string(m.Payload) != "for the victim" {
		f.Errorf("the victim heard %q", m.Payload)
	}
	thief.send(thief.down("for the thief", 1))
	select {
	case m := <-thief.heard:
		if string(m.Payload) != "for the thief" {
			f.Errorf("the thief heard %q", m.Payload)
		}
	case <-thief.Done():
	case <-f.soon().Done():
		f.Error("the thief is connected and hears nothing")
	}
}

// brokerTakeOver: a second login with the client id ends the first connection and
// its session, and touches nothing of the second.
func brokerTakeOver(f *brokerFixture) {
	first := f.device("lamp")
	first.alive()
	second := f.device("lamp")
	first.ended()
	if cause := first.session.Closed(f); cause != hal.CauseKicked {
		f.Errorf("first session closed with %q, want %q", cause, hal.CauseKicked)
	}
	for range 3 {
		second.alive()
	}
	if n := first.session.Waiting() + first.session.Closes() + second.session.Closes(); n > 0 {
		f.Errorf("the first session hears more, or was closed twice, or the second was closed")
	}
	if err := receive(f, first.send(first.down("x", 0)), "the delivery"); !errors.Is(err, hal.ErrGone) {
		f.Errorf("delivery to the first session: %v, want ErrGone", err)
	}
}

// brokerKick: the first cause counts, and nobody else notices.
func brokerKick(f *brokerFixture) {
	lamp, other := f.device("lamp"), f.device("other")
	lamp.session.Request.Link.Close(hal.CauseDisabled)
	lamp.session.Request.Link.Close(hal.CauseDeleted)
	if cause := lamp.session.Closed(f); cause != hal.CauseDisabled {
		f.Errorf("closed with %q, want %q", cause, hal.CauseDisabled)
	}
	lamp.ended()
	other.alive()
	if n := lamp.session.Closes() + other.session.Closes(); n > 0 {
		f.Errorf("closed %d more times", n)
	}
}

// brokerComesBack: a kick ends one connection, not the next.
func brokerComesBack(f *brokerFixture) {
	for range 3 {
		lamp := f.comeBack("lamp")
		lamp.alive()
		lamp.session.Request.Link.Close(hal.CauseKicked)
		lamp.ended()
	}
	lamp := f.comeBack("lamp")
	lamp.alive()
	if n := lamp.session.Closes(); n > 0 {
		f.Error("the kick of an earlier connection ended the session")
	}
}

// brokerEnd: a device leaves, and the broker tells.
func brokerEnd(f *brokerFixture) {
	lamp := f.device("lamp")
	lamp.alive()
	_ = lamp.Close()
	switch cause := lamp.session.Closed(f); cause {
	case hal.CauseClient, hal.CauseReset:
	default:
		f.Errorf("closed with %q, want %q or %q", cause, hal.CauseClient, hal.CauseReset)
	}
	if err := receive(f, lamp.send(lamp.down("x", 1)), "the delivery"); !errors.Is(err, hal.ErrGone) {
		f.Errorf("delivery after the end: %v, want ErrGone", err)
	}
}
