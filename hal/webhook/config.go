// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"log/slog"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Config says how a Server behaves. Access and Secret must be set; zero values
// mean the defaults given with each field.
type Config struct {
	Access hal.Access
	// Secret is what the broker shows with each request. It may not be empty, and
	// may not contain a slash.
	Secret auth.Secret
	// Services are the user names and passwords of clients that are no devices, such
	// as the consumer's: they may publish and subscribe to everything. A device
	// cannot have such a name, because it would lack the ampersand.
	Services map[string]auth.Secret

	// KeepAlive is what the platform is told of every connection, 60 seconds by
	// default: the broker enforces keep-alives and does not tell what they are.
	KeepAlive time.Duration
	// Silence ends the presence of a device that was silent for so long, where the
	// broker does not tell that a connection ended (RabbitMQ, Mosquitto). The next
	// message or question of the device brings it back. 30 minutes by default,
	// negative for never.
	Silence time.Duration
	// Settle is how long what is sent to a client waits after the broker asked about
	// a subscription of its: it subscribes only after the answer. 200 milliseconds by
	// default.
	Settle time.Duration
	// Linger is how long a device whose connection ended, as the broker tells, is still
	// heard: what it said last comes another way than that news. Its presence ends
	// then. 1 second by default.
	Linger time.Duration
	// Store, when not nil, keeps who is logged in, under keys that begin with
	// "webhook/", so that a platform that starts again knows the devices that are
	// still connected to the broker. It may be the hub's. Sealer seals what they
	// showed when they logged in; nil keeps it as it is.
	Store  Store
	Sealer Sealer
	// Kick has the broker close a client's connection, by an API it has for that. It
	// is called when the platform ends a session, on a goroutine of its own, with a
	// context of Timeout. nil is Server.Disconnect. Until the connection is closed,
	// whatever the broker asks for the client is denied, and what arrives is dropped.
	Kick func(ctx context.Context, clientID string) error
	// Stranger is told of a device whose messages come although it is not logged in
	// here: it connected before this process started, and the broker asks no more.
	// The messages are dropped. Having the broker close its connection makes it log
	// in. One call runs at a time, with a context of Timeout; others meanwhile are
	// left out, since the next message makes up for them. nil does nothing.
	Stranger func(ctx context.Context, id iot.DeviceID) error
	// Exchange is where RabbitMQ's MQTT plugin publishes, "amq.topic" by default.
	Exchange string

	// MaxClients is how many clients may be logged in, silent ones included, 100,000
	// by default. Beyond it logins are denied.
	MaxClients int
	// MaxBody is the largest request in bytes, 512 KB by default: VerneMQ may send
	// the payload along.
	MaxBody int64
	// Timeout limits the time a question may take, 5 seconds by default.
	Timeout time.Duration
	Logger  *slog.Logger // nil discards
}

var (
	errNoAccess = errors.New("webhook: Config.Access is nil")
	errNoSecret = errors.New("webhook: Config.Secret is empty or contains a slash")
)

func (cfg *Config) check() error {
	if cfg.Access == nil {
		return errNoAccess
	}
	if !goodSecret(cfg.Secret.Reveal()) {
		return errNoSecret
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	orDefault(&cfg.KeepAlive, time.Minute)
	orDefault(&cfg.Silence, 30*time.Minute)
	orDefault(&cfg.Settle, 200*time.Millisecond)
	orDefault(&cfg.Linger, time.Second)
	orDefault(&cfg.Exchange, "amq.topic")
	orDefault(&cfg.MaxClients, 100_000)
	orDefault(&cfg.MaxBody, 512<<10)
	orDefault(&cfg.Timeout, 5*time.Second)
	return nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
