// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"testing"

	"github.com/openalink/iot/hal"
)

// Broker is somebody else's broker with a door of the platform behind it, under
// test. It lives until the test that opened it ends.
type Broker interface {
	// Transport is how a device reaches the broker.
	Transport() hal.Transport
	// Consume takes what devices publish from the broker and publishes there what
	// they are told, until ctx ends, and returns its error. It calls subscribed each
	// time messages begin to come. What it had not acknowledged when it ended, the
	// broker gives the next call; one runs at a time.
	Consume(ctx context.Context, subscribed func()) error
	// Dropped returns how many messages were taken from the broker and given to no
	// session.
	Dropped() uint64
}

// TestBehindBroker is what a door behind somebody else's broker must do. open makes
// the door for a and returns the broker in front of it; what is to be closed is left
// to t.Cleanup. Each case opens one, and nothing an earlier case left at the broker
// may come to a later one. What a broker makes impossible is left out, each case with
// its reason.
//
// Devices are of product a1product, their user names are {name}&a1product, and they
// publish and subscribe to topics of their own: what another broker makes of dots and
// other characters in names is for the tests of its door.
func TestBehindBroker(t *testing.T, open func(t *testing.T, a hal.Access) Broker, options ...Option) {
	runGroups(t, options, []group[*brokerFixture]{
		{"Connect", brokerConnectCases},
		{"Publish", brokerPublishCases},
		{"Order", brokerOrderCases},
		{"Deliver", brokerDeliverCases},
		{"Close", brokerCloseCases},
		{"Panic", brokerPanicCases},
	}, func(t *testing.T) *brokerFixture { return newBrokerFixture(t, open) })
}

// brokerContract is one thing a door behind a broker must do.
type brokerContract = promise[*brokerFixture]
