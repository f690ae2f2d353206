// SPDX-License-Identifier: Apache-2.0

package management

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
)

// page is a part of a list. Cursor, when not empty, asks for the next part.
type page[T any] struct {
	Items  []T    `json:"items"`
	Cursor string `json:"cursor,omitempty"`
}

// Page sizes.
const (
	defaultPage = 100
	maxPage     = 1000
)

// decode reads a JSON body strictly: unknown members are errors that name them.
func decode(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return decodeBytes(body, v)
}

func decodeBytes(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return badRequest("request body is empty; JSON is expected")
		}
		return badRequest("request body: %v", err)
	}
	if dec.More() {
		return badRequest("request body: more than one JSON value")
	}
	return nil
}

func deviceOf(r *http.Request) iot.DeviceID {
	return iot.DeviceID{Product: r.PathValue("pk"), Name: r.PathValue("dn")}
}

// limitOf reads the page size asked for.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, badRequest("limit %q: 1 to %d", text, maxPage)
	}
	return n, nil
}

// timeOf reads a time: RFC 3339, or epoch milliseconds.
func timeOf(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, badRequest("%s %q: RFC 3339 or epoch milliseconds", name, text)
	}
	return t, nil
}

// maxTimeout is the longest a call may wait for a device.
const maxTimeout = time.Minute

// withTimeout bounds a call by the milliseconds asked for, or the default.
func withTimeout(r *http.Request, ms int) (context.Context, context.CancelFunc, error) {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case ms == 0:
		d = hub.DefaultCallTimeout
	case d < 0 || d > maxTimeout:
		return nil, nil, badRequest("timeout %d: 1 to %d milliseconds", ms, maxTimeout.Milliseconds())
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	return ctx, cancel, nil
}
