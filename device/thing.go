// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/tsl"
)

// ErrNotInModel means that the thing model has no such member, or does not allow
// the value. The text says why.
var ErrNotInModel = errors.New("device: not in the thing model")

// ThingConfig is what a Thing is made of: a Client's configuration and a thing
// model. Of Config.Handlers the Thing serves SetProperties, GetProperties and
// Service itself; Raw, Enabled, RRPC and all others are the caller's as ever.
type ThingConfig struct {
	Config
	// Model is the thing model; nil asks the platform for it at the first Connect.
	Model *tsl.Model
	// Property is asked before a value the platform sent is taken: it carries it out
	// or refuses it. identifier is that of the whole property. Nil takes all.
	Property func(ctx context.Context, identifier string, value json.RawMessage) error
	// Service carries out a service call; output is anything encoding/json writes
	// as an object, or nil. Nil refuses all.
	Service func(ctx context.Context, identifier string, args json.RawMessage) (output any, err error)
}

// Thing is a device with a thing model: it holds the current values of its
// properties, checks everything against the model, and answers the platform. It
// is safe for concurrent use. Handlers must not wait for one another.
type Thing struct {
	client *Client
	cfg    ThingConfig

	mu     sync.Mutex
	model  *tsl.Model
	judge  *tsl.Validator
	values map[string]json.RawMessage
}

// NewThing makes a Thing. It fails when the configuration or the model is not
// usable, and touches nothing outside.
func NewThing(cfg ThingConfig) (*Thing, error) { return newThing(cfg, New) }

// SubThing is SubDevice for a sub-device with a thing model. Transport of cfg must
// be nil.
func (g *Gateway) SubThing(cfg ThingConfig) (*Thing, error) { return newThing(cfg, g.SubDevice) }

func newThing(cfg ThingConfig, connect func(Config) (*Client, error)) (*Thing, error) {
	t := &Thing{cfg: cfg, values: make(map[string]json.RawMessage)}
	if cfg.Model != nil {
		if err := t.use(cfg.Model); err != nil {
			return nil, err
		}
	}
	c := cfg.Config
	c.Handlers.SetProperties, c.Handlers.GetProperties = t.set, t.get
	c.Handlers.Service = t.serve
	client, err := connect(c)
	if err != nil {
		return nil, err
	}
	t.client = client
	return t, nil
}

func (t *Thing) use(m *tsl.Model) error {
	v, err := tsl.Compile(m)
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.model, t.judge = m, v
	return nil
}

// Client is the connection, for everything a thing model says nothing about. It
// belongs to the Thing.
func (t *Thing) Client() *Client { return t.client }

// Model returns the thing model; nil before the first Connect of a Thing made
// without.
func (t *Thing) Model() *tsl.Model {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.model
}

// Connect logs in and, for a Thing made without a model, asks the platform for
// it. Errors are those of Client.Connect and Client.Model.
func (t *Thing) Connect(ctx context.Context) error {
	if err := t.client.Connect(ctx); err != nil {
		return err
	}
	if t.Model() != nil {
		return nil
	}
	m, err := t.client.Model(ctx)
	if err != nil {
		return err
	}
	return t.use(m)
}

// Close ends the connection. See Client.Close.
func (t *Thing) Close() error { return t.client.Close() }

// Get reads the current value of a property, or of a member of a struct as
// "struct.member", into what encoding/json can fill. The error wraps ErrNotInModel
// for a member the model does not have or that has no value yet.
func (t *Thing) Get(path string, into any) error {
	name, member, isMember := strings.Cut(path, ".")
	t.mu.Lock()
	raw, ok := t.values[name]
	t.mu.Unlock()
	if ok && isMember {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return fmt.Errorf("%w: %s is no struct", ErrNotInModel, name)
		}
		raw, ok = object[member]
	}
	if !ok {
		return fmt.Errorf("%w: %q has no value", ErrNotInModel, path)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("device: value of %s: %w", path, err)
	}
	return nil
}

// Set changes the current value of a property, or of a member of a struct as
// "struct.member", without telling the platform: see Post. The error wraps
// ErrNotInModel.
func (t *Thing) Set(path string, value any) error {
	raw, err := alink.Marshal(value)
	if err != nil {
		return fmt.Errorf("device: value of %s: %w", path, err)
	}
	name, member, isMember := strings.Cut(path, ".")
	t.mu.Lock()
	defer t.mu.Unlock()
	if isMember {
		object := make(map[string]json.RawMessage)
		if old, ok := t.values[name]; ok && json.Unmarshal(old, &object) != nil {
			return fmt.Errorf("%w: %s is no struct", ErrNotInModel, name)
		}
		object[member] = raw
		if raw, err = alink.Marshal(object); err != nil {
			return fmt.Errorf("device: value of %s: %w", path, err)
		}
	}
	if err := t.check(name, raw); err != nil {
		return err
	}
	t.values[name] = raw
	return nil
}

// check holds a value against the model; t.mu is held.
func (t *Thing) check(name string, raw json.RawMessage) error {
	if t.judge == nil {
		return fmt.Errorf("%w: there is no model yet", ErrNotInModel)
	}
	if r := t.judge.Property(name, raw); r != nil {
		return fmt.Errorf("%w: %v", ErrNotInModel, r)
	}
	return nil
}

// Post posts the current values of properties, all that have one without names,
// and waits for the platform's answer. Errors are those of Client.Call; for a name
// without a value ErrNotInModel.
func (t *Thing) Post(ctx context.Context, names ...string) error {
	values, err := t.current(names)
	if err != nil {
		return err
	}
	return t.client.PostProperties(ctx, values)
}

// Report queues the current values for posting. See Client.Report.
func (t *Thing) Report(names ...string) error {
	values, err := t.current(names)
	if err != nil {
		return err
	}
	out := make(map[string]any, len(values))
	for name, v := range values {
		out[name] = v
	}
	return t.client.Report(out)
}

func (t *Thing) current(names []string) (map[string]json.RawMessage, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(names) == 0 {
		return maps.Clone(t.values), nil
	}
	out := make(map[string]json.RawMessage, len(names))
	for _, name := range names {
		v, ok := t.values[name]
		if !ok {
			return nil, fmt.Errorf("%w: %q has no value", ErrNotInModel, name)
		}
		out[name] = v
	}
	return out, nil
}

// Event posts an event and waits for the platform's answer. An output the model
// does not allow is ErrNotInModel; other errors are those of Client.Call.
func (t *Thing) Event(ctx context.Context, identifier string, output any) error {
	raw, err := alink.Marshal(output)
	if err != nil {
		return fmt.Errorf("device: event %s: %w", identifier, err)
	}
	t.mu.Lock()
	judge := t.judge
	t.mu.Unlock()
	if judge == nil {
		return fmt.Errorf("%w: there is no model yet", ErrNotInModel)
	}
	if r := judge.Event(identifier, raw); r != nil {
		return fmt.Errorf("%w: event %s: %v", ErrNotInModel, identifier, r)
	}
	return t.client.PostEvent(ctx, identifier, json.RawMessage(raw))
}

// set takes values the platform asks for, and reports those it took.
func (t *Thing) set(ctx context.Context, values map[string]json.RawMessage) error {
	var taken []string
	var refused error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := t.take(ctx, name, values[name]); err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		taken = append(taken, name)
	}
	if len(taken) > 0 {
		if err := t.Report(taken...); err != nil {
			refused = errors.Join(refused, err)
		}
	}
	return refused
}

func (t *Thing) take(ctx context.Context, name string, value json.RawMessage) error {
	t.mu.Lock()
	err := t.check(name, value)
	t.mu.Unlock()
	if err != nil {
		return &alink.CodeError{Code: alink.CodeBadParams, Message: err.Error()}
	}
	if t.cfg.Property != nil {
		if err := t.cfg.Property(ctx, name, value); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.values[name] = slices.Clone(value)
	return nil
}

// get answers with current values.
func (t *Thing) get(_ context.Context, names []string) (any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]json.RawMessage, len(names))
	for _, name := range names {
		if v, ok := t.values[name]; ok {
			out[name] = v
		}
	}
	return out, nil
}

// serve carries out a service the model has.
func (t *Thing) serve(ctx context.Context, name string, args json.RawMessage) (any, error) {
	t.mu.Lock()
	judge := t.judge
	t.mu.Unlock()
	if judge == nil || t.cfg.Service == nil {
		return nil, errNoHandler
	}
	if r := judge.Input(name, args); r != nil {
		return nil, &alink.CodeError{Code: alink.CodeBadParams, Message: r.String()}
	}
	return t.cfg.Service(ctx, name, args)
}
