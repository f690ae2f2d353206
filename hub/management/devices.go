// SPDX-License-Identifier: Apache-2.0

package management

import (
	"bytes"
	"io"
	"net/http"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
)

// Device is a device as JSON has it. Answers carry the secret only where a device
// is made or its secret changed.
type Device struct {
	ProductKey   string            `json:"productKey"`
	DeviceName   string            `json:"deviceName"`
	DeviceSecret string            `json:"deviceSecret,omitempty"`
	IotID        string            `json:"iotId,omitempty"`
	State        hub.State         `json:"state,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	SystemTags   map[string]string `json:"systemTags,omitempty"`
	Created      time.Time         `json:"created,omitzero"`
	Activated    time.Time         `json:"activated,omitzero"`
	Versions     map[string]string `json:"versions,omitempty"` // of firmware
}

// ForHub turns the JSON form into the hub's.
func (d Device) ForHub() hub.Device {
	return hub.Device{
		ID: iot.DeviceID{Product: d.ProductKey, Name: d.DeviceName}, Secret: auth.NewSecret(d.DeviceSecret), Tags: d.Tags,
	}
}

func deviceJSON(d hub.Device, withSecret bool) Device {
	out := Device{
		ProductKey: d.ID.Product, DeviceName: d.ID.Name, IotID: d.IotID, State: d.State,
		Tags: d.Tags, SystemTags: d.System, Created: d.Created, Activated: d.Activated, Versions: d.Versions,
	}
	if withSecret {
		out.DeviceSecret = d.Secret.Reveal()
	}
	return out
}

// maxDevices is how many devices one request may name.
const maxDevices = 1000

// result is the outcome for one device of a request that names several.
type result struct {
	*Device
	Answer *hub.Answer `json:"answer,omitempty"`
	Error  *Error      `json:"error,omitempty"`
}

// createDevices takes one device or a list of up to maxDevices. For one the
// answer is the device; for a list there is one result for each, in order.
func (a *api) createDevices(r *http.Request) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '[' {
		var in Device
		if err := decodeBytes(body, &in); err != nil {
			return nil, err
		}
		d, err := a.hub.RegisterDevice(r.Context(), in.ForHub())
		if err != nil {
			return nil, err
		}
		return deviceJSON(d, true), nil
	}
	var list []Device
	if err := decodeBytes(body, &list); err != nil {
		return nil, err
	}
	if len(list) > maxDevices {
		return nil, badRequest("%d devices in one request, at most %d", len(list), maxDevices)
	}
	out := page[result]{Items: make([]result, len(list))}
	each(len(list), func(i int) {
		d, err := a.hub.RegisterDevice(r.Context(), list[i].ForHub())
		if err != nil {
			in := Device{ProductKey: list[i].ProductKey, DeviceName: list[i].DeviceName}
			out.Items[i] = result{Device: &in, Error: asError(err)}
			return
		}
		made := deviceJSON(d, true)
		out.Items[i] = result{Device: &made}
	})
	return out, nil
}

func (a *api) listDevices(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	out := page[Device]{Items: []Device{}}
	for d, err := range a.hub.Devices(r.Context(), q.Get("productKey"), q.Get("cursor")) {
		if err != nil {
			return nil, err
		}
		if len(out.Items) == limit {
			out.Cursor = out.Items[limit-1].DeviceName
			break
		}
		out.Items = append(out.Items, deviceJSON(d, false))
	}
	return out, nil
}

func (a *api) getDevice(r *http.Request) (any, error) {
	d, err := a.hub.Device(r.Context(), deviceOf(r))
	if err != nil {
		return nil, err
	}
	return deviceJSON(d, false), nil
}

func (a *api) deleteDevice(r *http.Request) (any, error) {
	return struct{}{}, a.hub.DeleteDevice(r.Context(), deviceOf(r))
}

func (a *api) enable(r *http.Request) (any, error) {
	d, err := a.hub.EnableDevice(r.Context(), deviceOf(r))
	if err != nil {
		return nil, err
	}
	return deviceJSON(d, false), nil
}

func (a *api) disable(r *http.Request) (any, error) {
	d, err := a.hub.DisableDevice(r.Context(), deviceOf(r))
	if err != nil {
		return nil, err
	}
	return deviceJSON(d, false), nil
}

func (a *api) rotateSecret(r *http.Request) (any, error) {
	var in struct {
		DeviceSecret string `json:"deviceSecret"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	d, err := a.hub.RotateSecret(r.Context(), deviceOf(r), auth.NewSecret(in.DeviceSecret))
	if err != nil {
		return nil, err
	}
	return deviceJSON(d, true), nil
}

func (a *api) setTags(r *http.Request) (any, error) {
	var in map[string]string
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	d, err := a.hub.SetTags(r.Context(), deviceOf(r), in)
	if err != nil {
		return nil, err
	}
	return deviceJSON(d, false), nil
}

// presenceJSON is where a device is and how it came there.
type presenceJSON struct {
	hub.Presence
	Events []hub.PresenceEvent `json:"events"`
}

// maxEvents is how many presence events one answer carries: the latest.
const maxEvents = 100

func (a *api) presence(r *http.Request) (any, error) {
	since, err := timeOf(r, "from")
	if err != nil {
		return nil, err
	}
	out := presenceJSON{Events: []hub.PresenceEvent{}}
	if out.Presence, err = a.hub.Presence(r.Context(), deviceOf(r)); err != nil {
		return nil, err
	}
	for e, err := range a.hub.PresenceEvents(r.Context(), deviceOf(r), since) {
		if err != nil {
			return nil, err
		}
		if out.Events = append(out.Events, e); len(out.Events) > maxEvents {
			out.Events = out.Events[1:]
		}
	}
	return out, nil
}
