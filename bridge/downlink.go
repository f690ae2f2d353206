// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"encoding/json"

	"github.com/openalink/iot/device"
	"github.com/openalink/iot/topic"
)

// Kind tells what the platform wants of a device.
type Kind int

// The kinds of requests.
const (
	// PropertySet carries new values: Params is an object.
	PropertySet Kind = iota + 1
	// PropertyGet asks for values: Params is a list of names, the answer an object.
	PropertyGet
	// Service is a call of the service Name: Params is an object, and the answer.
	Service
	// RawDown carries bytes of the device's own protocol; the answer is []byte or nil.
	RawDown
	// RRPC is a synchronous call with bytes; the answer is []byte. Name is its
	// custom topic, or empty.
	RRPC
	// CustomDown is a message on the custom topic Name. No answer.
	CustomDown
	// Other is any other Alink request: Name is what follows /sys/{pk}/{dn}/.
	Other
)

// Request is something the platform sends to one device.
type Request struct {
	Session *Session
	Kind    Kind
	Name    string
	Params  []byte
}

// Downlink takes what the platform sends to a device. The answer goes back to the
// platform where one is due, as Kind tells; an error becomes its code, as of
// device.Handlers. Requests of one device come one at a time; different devices'
// at once.
type Downlink interface {
	Push(ctx context.Context, r *Request) (answer any, err error)
}

// DownlinkFunc is a Downlink.
type DownlinkFunc func(ctx context.Context, r *Request) (any, error)

// Push implements Downlink.
func (f DownlinkFunc) Push(ctx context.Context, r *Request) (any, error) { return f(ctx, r) }

// Broadcaster is a further ability of Config.Downlink: it takes messages to
// everybody, which name no device but the bridge itself.
type Broadcaster interface {
	Broadcast(ctx context.Context, topic string, payload []byte)
}

// Forward is the Downlink that hands Params to the device's channel as they are,
// as []byte.
type Forward struct{}

// Push implements Downlink.
func (Forward) Push(ctx context.Context, r *Request) (any, error) {
	return nil, r.Session.channel.Send(ctx, r.Params)
}

// push finds who takes a request.
func (b *Bridge) push(ctx context.Context, m *member, kind Kind, name string, params []byte) (any, error) {
	s, ok := b.cfg.Sessions.Load(m.identity)
	if !ok {
		return nil, ErrOffline
	}
	if err := b.mapped(ctx, s); err != nil {
		return nil, err
	}
	down := s.opts.Downlink
	if down == nil {
		down = b.cfg.Downlink
	}
	if down == nil {
		return nil, ErrNoDownlink
	}
	return down.Push(ctx, &Request{Session: s, Kind: kind, Name: name, Params: params})
}

// pushBytes is push where the answer is bytes.
func (b *Bridge) pushBytes(ctx context.Context, m *member, kind Kind, name string, params []byte) ([]byte, error) {
	answer, err := b.push(ctx, m, kind, name, params)
	raw, _ := answer.([]byte)
	return raw, err
}

// handlers are those of a member's client.
func (b *Bridge) handlers(m *member) device.Handlers {
	return device.Handlers{
		SetProperties: func(ctx context.Context, values map[string]json.RawMessage) error {
			params, err := json.Marshal(values)
			if err == nil {
				_, err = b.push(ctx, m, PropertySet, "", params)
			}
			return err
		},
		GetProperties: func(ctx context.Context, names []string) (any, error) {
			params, err := json.Marshal(names)
			if err != nil {
				return nil, err
			}
			return b.push(ctx, m, PropertyGet, "", params)
		},
		Service: func(ctx context.Context, name string, args json.RawMessage) (any, error) {
			return b.push(ctx, m, Service, name, args)
		},
		Raw: func(ctx context.Context, payload []byte) ([]byte, error) {
			return b.pushBytes(ctx, m, RawDown, "", payload)
		},
		RRPC: func(ctx context.Context, topic string, payload []byte) ([]byte, error) {
			return b.pushBytes(ctx, m, RRPC, topic, payload)
		},
		Message: func(ctx context.Context, name string, payload []byte) {
			if _, err := b.push(ctx, m, CustomDown, name, payload); err != nil {
				b.cfg.Logger.Warn("message not delivered", "identity", m.identity, "topic", name, "error", err)
			}
		},
		Request: func(ctx context.Context, path string, params json.RawMessage) (any, error) {
			return b.push(ctx, m, Other, path, params)
		},
		Connected:    func(context.Context) { b.connected(m) },
		Disconnected: func(context.Context) { b.disconnected(m) },
	}
}

// broadcast takes a message to the bridge itself that is for everybody.
func (b *Bridge) broadcast(ctx context.Context, name string, payload []byte) bool {
	t, err := topic.Parse(name)
	if err != nil || t.Family != topic.FamilyBroadcast && t.Family != topic.FamilySys {
		return false
	}
	to, ok := b.cfg.Downlink.(Broadcaster)
	if !ok {
		return false
	}
	to.Broadcast(ctx, name, payload)
	return true
}
