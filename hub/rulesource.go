// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"iter"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	buckets "github.com/openalink/iot/internal/tokens"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
)

// RuleSource is the message log as rules see it: custom topics as devices wrote
// them, everything else under the topics of data forwarding (Forward).
func (h *Hub) RuleSource() rules.Source { return ruleSource{h} }

type ruleSource struct{ h *Hub }

// End implements rules.Source.
func (s ruleSource) End(ctx context.Context) (uint64, error) {
	return s.h.store.End(ctx, streamMessages)
}

// Read implements rules.Source. A message of a device that was deleted meanwhile is
// passed on if its bytes need nothing of the registry, and left out otherwise.
func (s ruleSource) Read(ctx context.Context, from uint64, wanted func(string) bool, follow bool) iter.Seq2[rules.Entry, error] {
	return func(yield func(rules.Entry, error) bool) {
		known := iotIDs{}
		for {
			news := s.h.news.wait(follow)
			for rec, err := range s.h.store.Read(ctx, streamMessages, from) {
				e := rules.Entry{Offset: rec.Offset}
				if err == nil {
					from = rec.Offset + 1
					e.Messages, err = s.messages(ctx, rec, wanted, known)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-news:
			case <-s.h.closing:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// messages forms what is wanted of a record.
func (s ruleSource) messages(ctx context.Context, rec store.Record, wanted func(string) bool, known iotIDs) ([]sql.Message, error) {
	name, sure := forwardedTopic(rec.Value)
	if strings.HasSuffix(name, "/thing/lifecycle") {
		delete(known, rec.Key) // a device of that name may be another one from here on
	}
	if sure && !wanted(name) {
		return nil, nil
	}
	m, err := decodeMessage(rec)
	if err != nil {
		return nil, err
	}
	list, err := s.h.forward(m, func() (string, error) { return known.find(ctx, s.h, rec.Key, m.Device) })
	if err != nil {
		if !errors.Is(err, ErrUnknownDevice) {
			s.h.logger.Error("hub: a message is not given to rules", "messageId", m.ID, "topic", m.Topic, "error", err)
		}
		return nil, nil
	}
	var out []sql.Message
	for _, f := range list {
		if wanted(f.Topic) {
			out = append(out, sql.Message{
				ID: f.MessageID, Topic: f.Topic, Device: m.Device, Time: f.Time, QoS: m.QoS, Payload: f.Body,
				Attributes: s.attributes(ctx, m.Device),
			})
		}
	}
	return out, nil
}

// iotIDs remembers those of devices whose messages were read lately, so that a
// device that is gone again is not fetched for each.
type iotIDs map[string]string

// maxIotIDs bounds what is remembered.
const maxIotIDs = 1024

func (k iotIDs) find(ctx context.Context, h *Hub, key string, id iot.DeviceID) (string, error) {
	if known, ok := k[key]; ok {
		return known, nil
	}
	found, err := h.iotID(ctx, id)
	if err != nil {
		return "", err
	}
	if len(k) >= maxIotIDs {
		clear(k)
	}
	k[key] = found
	return found, nil
}

// attributes looks tags up when a statement asks for one: those of the device, then
// those of its product.
func (s ruleSource) attributes(ctx context.Context, id iot.DeviceID) func(string) (string, bool) {
	return func(key string) (string, bool) {
		dev, err := s.h.Device(ctx, id)
		if err != nil {
			return "", false
		}
		if v, ok := dev.Tags[key]; ok {
			return v, true
		}
		p, err := s.h.Product(ctx, id.Product)
		v, ok := p.Tags[key]
		return v, ok && err == nil
	}
}

// forwardedTopic tells without decoding under which one topic a stored message is
// forwarded; sure is false when that takes a closer look. Most messages nobody
// wants are found here. The name is valid as long as value.
func forwardedTopic(value []byte) (name string, sure bool) {
	if len(value) < 10 || value[0] != recordFormat {
		return "", false
	}
	r := reader{b: value[10:]}
	r.bytes()
	raw := r.bytes()
	if r.bad {
		return "", false
	}
	name = text(raw)
	if value[1]&platformMark != 0 {
		return name, true
	}
	if rest, ok := strings.CutPrefix(name, "/sys"); ok && strings.HasPrefix(rest, "/") {
		return rest, strings.HasSuffix(rest, "/thing/event/property/post")
	}
	t, err := topic.Parse(name)
	if path := forwardedUpdate(t.Path); err == nil && t.Family == topic.FamilyOTA && path != "" {
		return "/" + t.Device.String() + "/" + path, true
	}
	return name, err == nil && t.Family == topic.FamilyCustom
}

// Rules starts a runner of rules over the hub's message log. Source and Store may
// be left out: they are the hub's. A rate of zero is Limits.Forwarding. Every
// outcome leaves a log entry with the id of the device's message; of deliveries
// beyond 1,000 a second, which is the default of Limits.Forwarding, the counters of
// the runner tell.
//
// The runner belongs to the caller, who closes it before the hub.
func (h *Hub) Rules(ctx context.Context, c rules.Config) (*rules.Runner, error) {
	if c.Source == nil {
		c.Source = h.RuleSource()
	}
	if c.Store == nil {
		c.Store = h.store
	}
	if c.Rate == 0 {
		if c.Rate = h.limits.Forwarding; c.Rate == 0 {
			c.Rate = -1
		}
	}
	if c.Logger == nil {
		c.Logger = h.logger
	}
	observe, stored := c.Observe, buckets.New(loggedDeliveries)
	c.Observe = func(o rules.Outcome) {
		if h.ownSink || o.Status != rules.Delivered || stored.Take() {
			h.log(ruleEntry(o))
		}
		if observe != nil {
			observe(o)
		}
	}
	return rules.Open(ctx, c)
}

// loggedDeliveries is how many deliveries a second are stored as log entries when
// Limits.Forwarding allows more: the documented limit. Failures always are, and a
// sink of the embedder's gets everything.
const loggedDeliveries = 1000

// ruleEntry is an outcome as a log entry (wire facts section 20: the rules engine
// receives a message and transmits data).
func ruleEntry(o rules.Outcome) LogEntry {
	e := LogEntry{
		Time: o.Time, MessageID: o.MessageID, Device: o.Device, Kind: Upstream, Operation: OpForward, Status: Success,
		Topic: o.Topic, Detail: "rule " + o.Rule + ", action " + o.Action,
	}
	switch o.Status {
	case rules.Delivered:
		return e
	case rules.Throttled:
		e.Operation, e.Cause = OpRule, CauseRateLimit
	case rules.Dropped:
		e.Operation, e.Cause = OpRule, CauseSlowSink
	default:
		e.Cause = CauseSink
	}
	e.Status = Failure
	if o.Cause != "" {
		e.Detail += ": " + string(o.Status) + ": " + o.Cause
	}
	return e
}

// PublishTo is Publish for rules (republish.Publisher): what would fail the next
// time too is marked permanent.
func (h *Hub) PublishTo(ctx context.Context, id iot.DeviceID, topicName string, payload []byte, qos iot.QoS) error {
	_, err := h.Publish(ctx, id, topicName, payload, SendOptions{QoS: qos})
	return lasting(err)
}

// lasting marks what would fail the next time too.
func lasting(err error) error {
	if _, answered := errors.AsType[*alink.CodeError](err); answered {
		return rules.Permanent(err)
	}
	for _, e := range []error{ErrUnknownDevice, ErrInvalid, ErrTooLarge, ErrOffline, ErrNotSubscribed, ErrNotActivated, ErrDisabled} {
		if errors.Is(err, e) {
			return rules.Permanent(err)
		}
	}
	return err
}
