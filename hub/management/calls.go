// SPDX-License-Identifier: Apache-2.0

package management

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
)

func (a *api) properties(r *http.Request) (any, error) {
	if r.URL.Query().Get("live") != "true" {
		return a.hub.Properties(r.Context(), deviceOf(r), identifiers(r)...)
	}
	answer, err := a.hub.FetchProperties(r.Context(), deviceOf(r), identifiers(r)...)
	if err != nil {
		return nil, err
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(answer.Data, &values); err != nil {
		return nil, &Error{Status: http.StatusBadGateway, Code: "BadAnswer", Message: "the device answered no object"}
	}
	out := make(map[string]hub.Value, len(values))
	now := time.Now().UTC()
	for name, v := range values {
		out[name] = hub.Value{Value: v, Time: now}
	}
	return out, nil
}

// callIn is the body of a call to a device.
type callIn struct {
	Params json.RawMessage `json:"params"`
	// Timeout is how many milliseconds to wait for the answer.
	Timeout int `json:"timeout"`
	// Queue keeps the call for a device that is away and returns at once.
	Queue bool `json:"queue"`
	// Async uses the service's own topic instead of a synchronous call.
	Async bool `json:"async"`
}

func (c *callIn) options() hub.CallOptions { return hub.CallOptions{Queue: c.Queue, Async: c.Async} }

func (c *callIn) params() json.RawMessage {
	if c.Params == nil {
		return json.RawMessage("{}")
	}
	return c.Params
}

func (a *api) setProperties(r *http.Request) (any, error) {
	return a.callDevice(r, func(in *callIn, id iot.DeviceID, r *http.Request) (hub.Answer, error) {
		return a.hub.SetProperties(r.Context(), id, in.params(), in.options())
	})
}

func (a *api) invokeService(r *http.Request) (any, error) {
	service := r.PathValue("service")
	return a.callDevice(r, func(in *callIn, id iot.DeviceID, r *http.Request) (hub.Answer, error) {
		return a.hub.InvokeService(r.Context(), id, service, in.params(), in.options())
	})
}

// callDevice reads a call, makes it and answers what the device answered, its
// failure codes included.
func (a *api) callDevice(r *http.Request, call func(*callIn, iot.DeviceID, *http.Request) (hub.Answer, error)) (any, error) {
	var in callIn
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	ctx, cancel, err := withTimeout(r, in.Timeout)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer, err := call(&in, deviceOf(r), r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (a *api) rrpc(r *http.Request) (any, error) {
	var in struct {
		Payload []byte `json:"payload"` // base64
		Topic   string `json:"topic"`
		Timeout int    `json:"timeout"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	ctx, cancel, err := withTimeout(r, in.Timeout)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer, err := a.hub.RRPC(ctx, deviceOf(r), in.Payload, in.Topic)
	if err != nil {
		return nil, err
	}
	return struct {
		Payload []byte `json:"payload"`
	}{answer}, nil
}

func downlinkID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, badRequest("message id %q is no number", r.PathValue("id"))
	}
	return id, nil
}

func (a *api) downlink(r *http.Request) (any, error) {
	id, err := downlinkID(r)
	if err != nil {
		return nil, err
	}
	return a.hub.Downlink(r.Context(), deviceOf(r), id)
}

func (a *api) cancel(r *http.Request) (any, error) {
	id, err := downlinkID(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.hub.Cancel(r.Context(), deviceOf(r), id)
}
