// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"net"
	"testing"

	"github.com/openalink/iot/hal"
)

// Door is a front door under test.
type Door interface {
	// Dial opens a connection that carries MQTT packets; what is below them (TLS,
	// WebSocket) is the door's business.
	Dial(ctx context.Context) (net.Conn, error)
	// Shutdown drains: nothing more is read, messages in flight are acknowledged,
	// then connections end with hal.CauseServerStop.
	Shutdown(ctx context.Context) error
	// Close ends everything at once. It is idempotent.
	Close() error
}

// Opener opens a door for a. TestFrontDoor closes it.
type Opener func(t *testing.T, a hal.Access) Door

// TestFrontDoor is what every MQTT front door must do. A door on a broker of others
// that a program embeds may leave cases out, each with its reason.
func TestFrontDoor(t *testing.T, open func(t *testing.T, a hal.Access) Door, options ...Option) {
	runGroups(t, options, []group[*fixture]{
		{"Connect", connectCases},
		{"Refuse", refuseCases},
		{"Publish", publishCases},
		{"Order", orderCases},
		{"Subscribe", subscribeCases},
		{"Deliver", deliverCases},
		{"Close", closeCases},
		{"Malformed", malformedCases},
		{"Panic", panicCases},
	}, func(t *testing.T) *fixture { return newFixture(t, open) })
}

// contract is one thing a door must do.
type contract = promise[*fixture]
