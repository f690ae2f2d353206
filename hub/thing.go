// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
)

// Thing is one device as an application sees it: what code that tslgen generates
// calls.
type Thing struct {
	h  *Hub
	id iot.DeviceID
}

// Thing returns the device called id, whether there is one or not: its methods
// fail with ErrUnknownDevice.
func (h *Hub) Thing(id iot.DeviceID) *Thing { return &Thing{h, id} }

// Get reads the latest values of all properties into what encoding/json can fill
// from an object. Errors are those of Hub.Properties.
func (t *Thing) Get(ctx context.Context, into any) error {
	all, err := t.h.Properties(ctx, t.id)
	if err != nil {
		return err
	}
	object := make(map[string]json.RawMessage, len(all))
	for name, v := range all {
		object[name] = v.Value
	}
	return refill(object, into)
}

// Set asks the device to set properties and waits until it did. Errors are those
// of Hub.SetProperties.
func (t *Thing) Set(ctx context.Context, values any) error {
	_, err := t.h.SetProperties(ctx, t.id, values, CallOptions{})
	return err
}

// Desire wishes values for properties, now or when the device comes back. Errors
// are those of Hub.SetDesired.
func (t *Thing) Desire(ctx context.Context, values any) error {
	_, err := t.h.SetDesired(ctx, t.id, values, nil)
	return err
}

// Invoke calls a service and reads its output. Errors are those of
// Hub.InvokeService.
func (t *Thing) Invoke(ctx context.Context, service string, args, output any) error {
	a, err := t.h.InvokeService(ctx, t.id, service, args, CallOptions{})
	if err != nil {
		return err
	}
	if len(a.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(a.Data, output); err != nil {
		return fmt.Errorf("hub: output of %s: %w", service, err)
	}
	return nil
}

// refill copies values by way of their JSON.
func refill(from, into any) error {
	raw, err := alink.Marshal(from)
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("hub: values: %w", err)
	}
	return nil
}
