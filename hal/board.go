// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"context"
	"errors"
	"net"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// Net opens TCP and UDP connections. *net.Dialer implements it; boards with
// their own network stack bring another. nil means the operating system's.
type Net interface {
	// DialContext connects to addr ("host:port") on network "tcp" or "udp".
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// Clock tells the time of day. nil means time.Now. Devices without a battery
// backed clock set theirs from the platform's NTP answer.
type Clock interface {
	Now() time.Time
}

// ErrNoValue is what a Slot answers for a name nothing was stored under.
var ErrNoValue = errors.New("hal: slot holds no such value")

// Slot keeps small named values (secrets, tokens, update state) over power
// cuts: after Store returned nil, Load gives the new value; after a power cut
// in the middle of Store, the old or the new one, never a mixture. It is safe
// for concurrent use.
type Slot interface {
	// Load returns the value of name, or ErrNoValue.
	Load(ctx context.Context, name string) ([]byte, error)
	// Store replaces the value of name; a nil value removes it.
	Store(ctx context.Context, name string, value []byte) error
}

// Identity is who a device is, as burnt in or provisioned.
type Identity struct {
	Device        iot.DeviceID
	DeviceSecret  auth.Secret
	ProductSecret auth.Secret // for devices that register themselves
	ModuleID      string      // hardware module, sent as mid
	PartnerID     string      // partner, sent as pid
	Firmware      string      // version of the running firmware
}

// Identities tells a device who it is. An Identity is its own, constant one.
type Identities interface {
	Identity(ctx context.Context) (Identity, error)
}

// Identity implements Identities with i itself.
func (i Identity) Identity(context.Context) (Identity, error) { return i, nil }
