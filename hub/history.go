// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
	"github.com/openalink/iot/tsl"
)

// HistoryKind is what a history is about.
type HistoryKind string

// The kinds of history.
const (
	PropertyHistory HistoryKind = "property"
	EventHistory    HistoryKind = "event"
	ServiceHistory  HistoryKind = "service"
)

// Sample is a value a property had, an event, or a service call.
type Sample struct {
	Identifier string          `json:"identifier"`
	Value      json.RawMessage `json:"value"` // of a service: its arguments
	Time       time.Time       `json:"time"`  // as told by the device, else of arrival; of a service: of its answer
	Received   time.Time       `json:"received"`
	MessageID  int64           `json:"messageId,string"`
	// Output and Code are what a service answered.
	Output json.RawMessage `json:"output,omitempty"`
	Code   alink.Code      `json:"code,omitempty"`
	// Cursor is where to go on after this sample, for HistoryQuery.After.
	Cursor string `json:"-"`
}

// HistoryQuery selects samples of one device.
type HistoryQuery struct {
	Device      iot.DeviceID
	Kind        HistoryKind // PropertyHistory when empty
	Identifiers []string    // none for all
	Since       time.Time   // inclusive, of the samples' own time; zero for the beginning
	Until       time.Time   // exclusive; zero for the end
	After       string      // Cursor of a sample: only later ones
}

// HistorySource is where History reads. Config.History takes one that knows more
// than the hub, such as a database of time series filled from Hub.Messages.
type HistorySource interface {
	History(ctx context.Context, q HistoryQuery) iter.Seq2[Sample, error]
}

// clockSlack is how far ahead of the hub a device's clock may be for its samples
// to be found by their time.
const clockSlack = time.Hour

// History yields samples of a device in the order they arrived: values of the past
// that were posted late come late. They are read from the message log, which
// Trim keeps for Limits.HistoryRetention. The error wraps ErrInvalid (a kind or
// cursor that is none), ErrUnknownDevice, or is the store's.
func (h *Hub) History(ctx context.Context, q HistoryQuery) iter.Seq2[Sample, error] {
	if h.history != nil {
		return h.history.History(ctx, q)
	}
	return func(yield func(Sample, error) bool) {
		r, err := h.newHistoryReader(ctx, q)
		if err != nil {
			yield(Sample{}, err)
			return
		}
		r.run(ctx, yield)
	}
}

// historyReader walks one history.
type historyReader struct {
	h      *Hub
	q      HistoryQuery
	judge  *judge
	from   uint64 // offset of the record to begin with
	skip   int    // samples of that record that were seen
	stream string
	rec    store.Record
	n      int // samples of the record so far
	yield  func(Sample, error) bool
	done   bool
}

func (h *Hub) newHistoryReader(ctx context.Context, q HistoryQuery) (*historyReader, error) {
	r := &historyReader{h: h, q: q, stream: streamMessages}
	switch q.Kind {
	case "":
		r.q.Kind = PropertyHistory
	case PropertyHistory, EventHistory:
	case ServiceHistory:
		r.stream = streamServices
	default:
		return nil, fmt.Errorf("%w: history of %.32q: property, event and service are known", ErrInvalid, string(q.Kind))
	}
	if q.After != "" {
		offset, index, ok := strings.Cut(q.After, ".")
		from, err := strconv.ParseUint(offset, 10, 64)
		n, errIndex := strconv.Atoi(index)
		if !ok || err != nil || errIndex != nil || n < 0 {
			return nil, fmt.Errorf("%w: cursor %.48q", ErrInvalid, q.After)
		}
		r.from, r.skip = from, n+1
	}
	d, err := h.acquire(ctx, q.Device)
	if err != nil {
		return nil, err
	}
	r.judge = d.product.judge.Load()
	h.release(d)
	return r, nil
}

func (r *historyReader) run(ctx context.Context, yield func(Sample, error) bool) {
	r.yield = yield
	since := r.q.Since
	if !since.IsZero() {
		since = since.Add(-clockSlack)
	}
	for rec, err := range r.h.store.ReadKey(ctx, r.stream, r.q.Device.String(), r.from, since, time.Time{}) {
		if err != nil {
			yield(Sample{}, err)
			return
		}
		r.rec, r.n = rec, 0
		if r.stream == streamServices {
			err = r.service()
		} else {
			err = r.message()
		}
		if err != nil && !r.done {
			yield(Sample{}, err)
			return
		}
		if r.done {
			return
		}
	}
}

// give yields a sample if it is asked for.
func (r *historyReader) give(s Sample) bool {
	n := r.n
	r.n++
	if r.rec.Offset == r.from && n < r.skip ||
		len(r.q.Identifiers) > 0 && !contains(r.q.Identifiers, s.Identifier) ||
		s.Time.Before(r.q.Since) || !r.q.Until.IsZero() && !s.Time.Before(r.q.Until) {
		return true
	}
	s.Received = r.rec.Time.UTC()
	s.Cursor = fmt.Sprintf("%d.%d", r.rec.Offset, n)
	if !r.yield(s, nil) {
		r.done = true
	}
	return !r.done
}

// message gives what a message of the device holds.
func (r *historyReader) message() error {
	m, err := decodeMessage(r.rec)
	if err != nil {
		return err
	}
	t, err := topic.Parse(m.Topic)
	if err != nil || t.Family != topic.FamilySys || !strings.HasPrefix(t.Path, "thing/event/") || !strings.HasSuffix(t.Path, "/post") {
		return nil
	}
	var msg alink.Message
	if err := alink.Parse(m.Payload, &msg); err != nil {
		return fmt.Errorf("hub: history at %d: %w", r.rec.Offset, err)
	}
	params := alink.LenientParams(msg.Params)
	switch t.Path {
	case "thing/event/property/post":
		return r.properties(m.ID, params)
	case "thing/event/property/batch/post", "thing/event/property/history/post", "thing/event/property/pack/post":
		return r.several(m.ID, t.Path, params)
	}
	if r.q.Kind == EventHistory {
		value, ms := alink.EventParams(params)
		r.give(Sample{Identifier: eventOf(t.Path), Value: clone(value), Time: r.timeOf(ms), MessageID: m.ID})
	}
	return nil
}

func clone(raw []byte) json.RawMessage { return append(json.RawMessage(nil), raw...) }

// timeOf is the time a device told, else that of arrival.
func (r *historyReader) timeOf(ms int64) time.Time {
	if ms <= 0 {
		return r.rec.Time.UTC()
	}
	return time.UnixMilli(ms).UTC()
}

func (r *historyReader) properties(id int64, params []byte) error {
	if r.q.Kind != PropertyHistory {
		return nil
	}
	give := func(name string, value []byte, ms int64) bool {
		return r.give(Sample{Identifier: strings.Clone(name), Value: clone(value), Time: r.timeOf(ms), MessageID: id})
	}
	if r.judge != nil {
		return r.judge.Post(params, func(v tsl.Verdict) bool { return give(v.Name, v.Value, v.TimeMS) })
	}
	return alink.EachProperty(params, give)
}

// several gives the samples of a post that carries many.
func (r *historyReader) several(id int64, path string, params []byte) error {
	all, err := readSaid(path, params)
	if err != nil {
		return err
	}
	for _, s := range all {
		list := s.properties
		if r.q.Kind == EventHistory {
			list = s.events
		}
		for _, n := range list {
			if !r.give(Sample{Identifier: n.name, Value: n.Value, Time: r.timeOf(n.Time), MessageID: id}) {
				return nil
			}
		}
	}
	return nil
}

// streamServices holds the service calls devices answered.
const streamServices = "services"

// serviceRecord is an entry of it.
type serviceRecord struct {
	ID      int64           `json:"id"`
	Service string          `json:"service"`
	Input   json.RawMessage `json:"input,omitempty"`
	Output  json.RawMessage `json:"output,omitempty"`
	Code    alink.Code      `json:"code"`
}

func (r *historyReader) service() error {
	var rec serviceRecord
	if err := decodeJSON(r.rec.Value, &rec); err != nil {
		return fmt.Errorf("hub: history at %d: %w", r.rec.Offset, err)
	}
	r.give(Sample{
		Identifier: rec.Service, Value: rec.Input, Output: rec.Output, Code: rec.Code, Time: r.rec.Time.UTC(), MessageID: rec.ID,
	})
	return nil
}

// noteService appends an answered service call to its history. Property get and
// set are no services.
func (b *batch) noteService(d *device, name string, mid int64, request, answer []byte) {
	service, ok := strings.CutPrefix(name, "thing/service/")
	if !ok || strings.HasPrefix(service, "property/") {
		return
	}
	var in, out alink.Message
	if alink.Parse(request, &in) != nil || alink.Parse(answer, &out) != nil {
		return
	}
	b.st.Append(streamServices, d.key, b.now, encodeJSON(serviceRecord{mid, service, in.Params, out.Data, out.Code}))
}

// pathOf is what follows the device in a topic.
func pathOf(name string) string {
	t, err := topic.Parse(name)
	if err != nil {
		return ""
	}
	return t.Path
}

// noteServiceLater is noteService for those who do not wait for it.
func (h *Hub) noteServiceLater(d *device, name string, mid int64, request, answer []byte) {
	if strings.HasPrefix(name, "thing/service/property/") {
		return
	}
	h.judgeOutput(d, strings.TrimPrefix(name, "thing/service/"), mid, answer)
	h.retain(d)
	d.post(func(b *batch) {
		b.noteService(d, name, mid, request, answer)
		b.then(func(error) { h.release(d) })
	})
}
