// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"errors"

	iot "github.com/openalink/iot"
)

// SceneActions is the hub as scenes look at it and act on it (scene.Platform). What
// would fail the next time too, such as a call to a device that is offline, is marked
// permanent.
type SceneActions struct{ h *Hub }

// ForScenes returns the hub for package rules/scene.
func (h *Hub) ForScenes() SceneActions { return SceneActions{h} }

// Latest returns the latest value of a property as JSON, nil when the device never
// posted it or is no more.
func (s SceneActions) Latest(ctx context.Context, id iot.DeviceID, property string) ([]byte, error) {
	values, err := s.h.Properties(ctx, id, property)
	if errors.Is(err, ErrUnknownDevice) {
		return nil, nil
	}
	return values[property].Value, err
}

// Set is SetProperties.
func (s SceneActions) Set(ctx context.Context, id iot.DeviceID, items []byte) error {
	_, err := s.h.SetProperties(ctx, id, json.RawMessage(items), CallOptions{})
	return lasting(err)
}

// Invoke is InvokeService.
func (s SceneActions) Invoke(ctx context.Context, id iot.DeviceID, service string, args []byte) error {
	_, err := s.h.InvokeService(ctx, id, service, json.RawMessage(args), CallOptions{})
	return lasting(err)
}
