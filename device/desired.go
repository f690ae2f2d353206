// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/tsl"
)

// DesiredProperty is a property as an application wishes it to be.
type DesiredProperty struct {
	Value   json.RawMessage `json:"value"`
	Version int64           `json:"version"`
}

// DesiredProperties asks for the desired values of properties, all without names.
// The platform sends wishes by itself too, as calls to set properties: asking is
// for devices that missed them. Errors are those of Call.
func (c *Client) DesiredProperties(ctx context.Context, names ...string) (map[string]DesiredProperty, error) {
	if names == nil {
		names = []string{}
	}
	raw, err := c.Call(ctx, "thing/property/desired/get", names)
	if err != nil {
		return nil, err
	}
	out := make(map[string]DesiredProperty)
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("device: desired properties: %w", err)
	}
	return out, nil
}

// DeleteDesired clears desired values that still have the version given; 0 clears
// any. Errors are those of Call.
func (c *Client) DeleteDesired(ctx context.Context, versions map[string]int64) error {
	type version struct {
		Version int64 `json:"version,omitempty"`
	}
	params := make(map[string]version, len(versions))
	for name, v := range versions {
		params[name] = version{v}
	}
	_, err := c.Call(ctx, "thing/property/desired/delete", params)
	return err
}

// Past is values a property had, or events that happened, while nobody was told.
type Past struct {
	Properties []map[string]Timed `json:"properties"`
	Events     []map[string]Timed `json:"events"`
}

// PostHistory posts values of the past. They change the latest ones only where
// they are newer. Errors are those of Call.
func (c *Client) PostHistory(ctx context.Context, p Past) error {
	if p.Properties == nil {
		p.Properties = []map[string]Timed{}
	}
	if p.Events == nil {
		p.Events = []map[string]Timed{}
	}
	type identity struct {
		ProductKey string `json:"productKey"`
		DeviceName string `json:"deviceName"`
	}
	id := c.Device()
	_, err := c.Call(ctx, "thing/event/property/history/post", []struct {
		Identity identity `json:"identity"`
		Past
	}{{identity{id.Product, id.Name}, p}})
	return err
}

// PostBatch posts several values of each property at once. Errors are those of
// Call.
func (c *Client) PostBatch(ctx context.Context, properties, events map[string][]Timed) error {
	_, err := c.Call(ctx, "thing/event/property/batch/post", struct {
		Properties map[string][]Timed `json:"properties"`
		Events     map[string][]Timed `json:"events"`
	}{properties, events})
	return err
}

// Model asks the platform for the thing model of the device. Errors are those of
// Call and of tsl.Parse.
func (c *Client) Model(ctx context.Context) (*tsl.Model, error) {
	raw, err := c.Call(ctx, "thing/dsltemplate/get", struct{}{})
	if err != nil {
		return nil, err
	}
	return tsl.Parse(raw)
}

// Pack is what a pack post says about one device.
type Pack struct {
	Properties map[string]Timed `json:"properties,omitempty"`
	Events     map[string]Timed `json:"events,omitempty"` // the output of each event
}

// PostPack posts values of the gateway itself and of sub-devices that are logged
// in through it, at most 20, in one message. Errors are those of Client.Call.
func (g *Gateway) PostPack(ctx context.Context, own Pack, subs map[iot.DeviceID]Pack) error {
	type identity struct {
		ProductKey string `json:"productKey"`
		DeviceName string `json:"deviceName"`
	}
	type sub struct {
		Identity identity `json:"identity"`
		Pack
	}
	params := struct {
		Pack
		SubDevices []sub `json:"subDevices"`
	}{own, []sub{}}
	for id, p := range subs {
		params.SubDevices = append(params.SubDevices, sub{identity{id.Product, id.Name}, p})
	}
	_, err := g.Call(ctx, "thing/event/property/pack/post", params)
	return err
}
