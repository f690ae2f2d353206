// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"io"
	"net/http"

	iot "github.com/openalink/iot"
)

// deviceKey is the context key of the device a request of a data stream is from.
type deviceKey struct{}

// Device returns whose data stream a request of a service belongs to; the zero id
// when it is none of Config.Service's.
func Device(ctx context.Context) iot.DeviceID {
	id, _ := ctx.Value(deviceKey{}).(iot.DeviceID)
	return id
}

// service returns what serves a service id, nil for nothing.
func (h *Handler) service(id string) http.Handler {
	if h.cfg.Service == nil {
		return nil
	}
	return h.cfg.Service(id)
}

// serve hands a request over: a POST brings the device's bytes, a GET asks for what
// the platform has for it. The body ends with the length it was announced with.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, s *dataStream) {
	handler := h.service(s.service)
	if handler == nil {
		failStream(w, http.StatusNotFound)
		return
	}
	pace := h.pace(w, r.Body)
	defer pace.end()
	s.ok(w)
	r = r.WithContext(context.WithValue(r.Context(), deviceKey{}, s.device))
	r.Body = struct {
		io.Reader
		io.Closer
	}{pace, r.Body}
	handler.ServeHTTP(w, r)
}
