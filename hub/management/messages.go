// SPDX-License-Identifier: Apache-2.0

package management

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
)

func (a *api) pub(r *http.Request) (any, error) {
	var in struct {
		Topic   string `json:"topic"`   // full custom topic: /pk/dn/...
		Payload []byte `json:"payload"` // base64
		QoS     int    `json:"qos"`
		TTL     int    `json:"ttl"` // seconds to keep a QoS 1 message
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.QoS != 0 && in.QoS != 1 {
		return nil, badRequest("qos %d: 0 and 1 are known", in.QoS)
	}
	parts := strings.SplitN(strings.TrimPrefix(in.Topic, "/"), "/", 3)
	if len(parts) < 3 || in.Topic[0] != '/' {
		return nil, badRequest("topic %q does not name a device: /productKey/deviceName/...", in.Topic)
	}
	id, err := a.hub.Publish(r.Context(), iot.DeviceID{Product: parts[0], Name: parts[1]}, in.Topic, in.Payload,
		hub.SendOptions{QoS: iot.QoS(in.QoS), TTL: time.Duration(in.TTL) * time.Second})
	if err != nil {
		return nil, err
	}
	return sent{MessageID: id}, nil
}

// sent is the answer to a message that went out.
type sent struct {
	MessageID int64 `json:"messageId,string"`
	Receivers *int  `json:"receivers,omitempty"`
}

func (a *api) broadcast(r *http.Request) (any, error) {
	var in struct {
		ProductKey string `json:"productKey"`
		Topic      string `json:"topic"` // suffix of /broadcast/{pk}/; empty for every device's own topic
		Payload    []byte `json:"payload"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	id, n, err := a.hub.Broadcast(r.Context(), in.ProductKey, in.Topic, in.Payload)
	if err != nil {
		return nil, err
	}
	return sent{MessageID: id, Receivers: &n}, nil
}

// rangeOf reads the device and time range of a query.
func rangeOf(r *http.Request) (id iot.DeviceID, from, to time.Time, err error) {
	q := r.URL.Query()
	id = iot.DeviceID{Product: q.Get("productKey"), Name: q.Get("deviceName")}
	if id.Name != "" && id.Product == "" {
		return id, from, to, badRequest("deviceName without productKey")
	}
	if from, err = timeOf(r, "from"); err == nil {
		to, err = timeOf(r, "to")
	}
	return id, from, to, err
}

func (a *api) messages(r *http.Request) (any, error) {
	id, from, to, err := rangeOf(r)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	out := page[hub.Message]{Items: []hub.Message{}}
	query := hub.MessageQuery{Device: id, Since: from, Until: to, After: r.URL.Query().Get("cursor")}
	last := ""
	for m, err := range a.hub.Messages(r.Context(), query) {
		if err != nil {
			return nil, err
		}
		if len(out.Items) == limit {
			out.Cursor = last
			break
		}
		out.Items, last = append(out.Items, m), m.Cursor
	}
	return out, nil
}

func (a *api) logs(r *http.Request) (any, error) {
	id, from, to, err := rangeOf(r)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	query := hub.LogQuery{
		Device: id, Since: from, Until: to, After: q.Get("cursor"),
		Kind: hub.LogKind(q.Get("kind")), Status: hub.Status(q.Get("status")),
	}
	if text := q.Get("messageId"); text != "" {
		if query.MessageID, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, badRequest("messageId %q is no number", text)
		}
	}
	out := page[hub.LogEntry]{Items: []hub.LogEntry{}}
	last := ""
	for e, err := range a.hub.Logs(r.Context(), query) {
		if err != nil {
			return nil, err
		}
		if len(out.Items) == limit {
			out.Cursor = last
			break
		}
		out.Items, last = append(out.Items, e.LogEntry), e.Cursor
	}
	return out, nil
}

// trace streams the log entries of a device as JSON lines until the client goes.
func (a *api) trace(w http.ResponseWriter, r *http.Request) error {
	id := deviceOf(r)
	if _, err := a.hub.Device(r.Context(), id); err != nil {
		return err
	}
	entries := a.hub.Trace(r.Context(), id)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	_ = flush.Flush() // a writer that cannot flush delivers late, not wrong
	enc := json.NewEncoder(w)
	for e := range entries {
		if enc.Encode(e) != nil {
			return nil
		}
		_ = flush.Flush()
	}
	return nil
}

//go:embed openapi.json
var openAPI []byte

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(openAPI)
	return err
}
