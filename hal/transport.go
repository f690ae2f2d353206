// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"context"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// Transport connects a device to a platform. Adapters live in hal/mqtt, hal/https
// and hal/mem; hal/dial makes one of a URL. What an adapter cannot do, such as
// subscribing over HTTPS, is an error that wraps errors.ErrUnsupported.
type Transport interface {
	// Connect opens one connection. It returns when the platform accepted or
	// refused the login or ctx ended; it never retries. A refusal is a
	// *RefusedError. Messages reach recv one at a time, in order, from a goroutine
	// of the transport; recv must not block for long and may keep the message.
	Connect(ctx context.Context, l Login, recv func(iot.Message)) (Conn, error)
}

// Login is what a device shows to get in.
type Login struct {
	ClientID     string
	UserName     string
	Password     auth.Secret
	KeepAlive    time.Duration
	CleanSession bool
	// DeviceSecret is there for transports whose connection is secured with keys made
	// of it (CoAP). It is zero when the device logs in with something else.
	DeviceSecret auth.Secret
}

// Conn is an open connection of a device. It is safe for concurrent use.
type Conn interface {
	// Publish sends a message and returns when it is written (QoS 0) or
	// acknowledged (QoS 1), when ctx ends, or when the connection is lost
	// (ErrGone). The message belongs to the caller again when it returns.
	Publish(ctx context.Context, m iot.Message) error
	// Done is closed when the connection ended, whoever ended it.
	Done() <-chan struct{}
	// Close says goodbye and ends the connection. It is idempotent and leaves no
	// goroutine behind.
	Close() error
}

// SubscribingConn is a Conn whose transport has subscriptions.
type SubscribingConn interface {
	Conn
	// Subscribe returns the platform's grant for each filter, in order.
	Subscribe(ctx context.Context, filters []Filter) ([]Grant, error)
	// Unsubscribe drops filters.
	Unsubscribe(ctx context.Context, filters []string) error
}

// OneWay is a Conn over which nothing reaches the device but answers to what it
// publishes.
type OneWay interface {
	Conn
	// NoDownlink returns the error that subscribing fails with.
	NoDownlink() error
}
