// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
)

// Message is something for the platform: see Properties, Event, Custom and Raw.
type Message struct {
	what string
	send func(ctx context.Context, c *device.Client) error
}

// Properties posts values of properties, with the time of this call unless a value
// is a device.Timed. The values must not change afterwards.
func Properties(values map[string]any) Message {
	now := time.Now()
	timed := make(map[string]device.Timed, len(values))
	for k, v := range values {
		if t, ok := v.(device.Timed); ok {
			timed[k] = t
			continue
		}
		timed[k] = device.Timed{Value: v, Time: now}
	}
	return Message{"properties", func(ctx context.Context, c *device.Client) error { return c.PostProperties(ctx, timed) }}
}

// Event posts an event with its output, anything encoding/json writes as an
// object.
func Event(identifier string, output any) Message {
	out := device.Timed{Value: output, Time: time.Now()}
	return Message{"event " + identifier, func(ctx context.Context, c *device.Client) error {
		_, err := c.Call(ctx, "thing/event/"+identifier+"/post", out)
		return err
	}}
}

// Custom sends bytes on a custom topic of the device: suffix is what follows
// /{pk}/{dn}/. The bytes must not change afterwards.
func Custom(suffix string, payload []byte, qos iot.QoS) Message {
	return Message{suffix, func(ctx context.Context, c *device.Client) error { return c.Publish(ctx, suffix, payload, qos) }}
}

// Raw sends bytes of the device's own protocol, which the platform's codec of the
// product understands.
func Raw(payload []byte) Message {
	return Message{"raw", func(ctx context.Context, c *device.Client) error {
		_, err := c.PostRaw(ctx, payload)
		return err
	}}
}

// Call sends any other request of Alink: path is "thing/deviceinfo/update".
func Call(path string, params any) Message {
	return Message{path, func(ctx context.Context, c *device.Client) error {
		_, err := c.Call(ctx, path, params)
		return err
	}}
}

// Result is a message under way.
type Result struct {
	m     Message
	tries int
	done  chan struct{}
	err   error // written before done closes
}

func newResult(m Message) *Result { return &Result{m: m, done: make(chan struct{})} }

func (r *Result) resolve(err error) {
	r.err = err
	close(r.done)
}

// Done is closed when the platform answered or the message was dropped.
func (r *Result) Done() <-chan struct{} { return r.done }

// Err returns nil when the platform took the message, and nil while that is not
// known; look at Done. A refusal of the platform is an *alink.CodeError; dropped
// messages have an error of this package.
func (r *Result) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Wait returns Err when Done, or the context's error. The message stays under way
// then.
func (r *Result) Wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
