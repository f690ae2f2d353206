// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
)

// subscriptions is what a session wants to hear. It is immutable: readers load
// it once and never lock.
type subscriptions struct {
	// Implicit sessions (_ss=1 in the client id) hear all system downlinks without
	// subscribing (wire facts section 1 row 3).
	Implicit bool           `json:"implicit,omitempty"`
	Filters  []subscription `json:"filters,omitempty"`
	// Dropped are filters an implicit session unsubscribed: it does not want what
	// they match (SDKs switch off replies this way).
	Dropped []string `json:"dropped,omitempty"`
}

type subscription struct {
	Filter string  `json:"filter"`
	QoS    iot.QoS `json:"qos"`
}

// storedSession is what outlives a connection with clean session 0.
type storedSession struct {
	subscriptions
}

// wants reports whether a message on name is to be sent, and with which QoS at
// most. Overlapping filters give one delivery with the highest QoS granted.
// system tells that name is a system topic the platform answers or calls on.
func (s *subscriptions) wants(name string, system bool) (iot.QoS, bool) {
	best, found := iot.AtMostOnce, false
	for i := range s.Filters {
		if f := &s.Filters[i]; (best < f.QoS || !found) && topic.Match(f.Filter, name) {
			best, found = f.QoS, true
		}
	}
	if found || !s.Implicit || !system {
		return best, found
	}
	for _, f := range s.Dropped {
		if topic.Match(f, name) {
			return 0, false
		}
	}
	return iot.AtLeastOnce, true
}

// isSystem reports whether an implicit session hears name without subscribing:
// everything of its own but custom and broadcast topics.
func isSystem(name string) bool {
	for _, prefix := range [...]string{"/sys/", "/ext/", "/ota/", "/shadow/"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func (s *subscriptions) with(filter string, qos iot.QoS) *subscriptions {
	next := s.without(filter)
	next.Filters = append(next.Filters, subscription{filter, qos})
	next.Dropped = slices.DeleteFunc(next.Dropped, func(f string) bool { return f == filter })
	return next
}

func (s *subscriptions) without(filter string) *subscriptions {
	next := &subscriptions{Implicit: s.Implicit, Dropped: slices.Clone(s.Dropped)}
	next.Filters = slices.DeleteFunc(slices.Clone(s.Filters), func(f subscription) bool { return f.Filter == filter })
	return next
}

// wants is subscriptions.wants with what a gateway subscribed to for all its
// sub-devices: calls under /ext/rrpc, whose filters name nobody.
func (s *session) wants(name string) (iot.QoS, bool) {
	name = s.wireName(name)
	qos, ok := s.subs.Load().wants(name, isSystem(name))
	if !ok && s.via != nil && strings.HasPrefix(name, "/ext/rrpc/") {
		return s.via.subs.Load().wants(name, false)
	}
	return qos, ok
}

// subscriberOf returns the session a filter belongs to: that of the sub-device it
// names, else s.
func (s *session) subscriberOf(filter string) *session {
	if s.gw == nil {
		return s
	}
	if kid := s.gw.kid(namedIn(filter)); kid != nil {
		return kid
	}
	return s
}

// namedIn returns the device a filter of the device's own topics names, without
// looking at the rest.
func namedIn(filter string) iot.DeviceID {
	level := strings.Split(filter, "/")
	at := 1
	switch {
	case len(level) < 3:
		return iot.DeviceID{}
	case level[1] == "sys":
		at = 2
	case level[1] == "ext" && level[2] == "rrpc" && len(level) > 4 && level[4] == "sys":
		at = 5
	case level[1] == "ext" && level[2] == "rrpc":
		at = 4
	case level[1] == "shadow", level[1] == "ext":
		at = 3
	case level[1] == "ota":
		at = 4
	}
	if len(level) < at+2 {
		return iot.DeviceID{}
	}
	return iot.DeviceID{Product: level[at], Name: level[at+1]}
}

// Subscribe implements hal.Subscriber.
func (s *session) Subscribe(ctx context.Context, filters []hal.Filter) []hal.Grant {
	if s.gw == nil {
		return s.subscribe(ctx, filters, 0)
	}
	var grants []hal.Grant
	for i, f := range filters {
		grants = append(grants, s.subscriberOf(f.Topic).subscribe(ctx, filters[i:i+1], i)...)
	}
	return grants
}

// subscribe takes filters for one device; the first is number at of its request.
func (s *session) subscribe(ctx context.Context, filters []hal.Filter, at int) []hal.Grant {
	grants := make([]hal.Grant, len(filters))
	subs := s.subs.Load()
	for i, f := range filters {
		cause, err := s.mayHear(subs, at+i, f)
		if err != nil {
			grants[i] = hal.Refused
			s.h.log(LogEntry{
				Device: s.d.id, Via: s.gatewayID(), Kind: Behaviour, Operation: OpSubscribe, Status: Failure,
				Cause: cause, Topic: cloneTopic(f.Topic), Detail: err.Error(),
			})
			continue
		}
		qos := min(f.QoS, iot.AtLeastOnce)
		if f.QoS > iot.AtLeastOnce && s.qos2Logged.CompareAndSwap(false, true) {
			s.h.log(LogEntry{
				Device: s.d.id, Via: s.gatewayID(), Kind: Behaviour, Operation: OpSubscribe, Status: Success,
				Cause: CauseIgnored, Topic: cloneTopic(f.Topic), Detail: "QoS 2 is not offered, 1 granted",
			})
		}
		grants[i] = hal.Grant(qos)
		subs = subs.with(strings.Clone(f.Topic), qos)
	}
	if err := s.setSubscriptions(ctx, subs); err != nil {
		for i := range grants {
			grants[i] = hal.Refused
		}
	}
	return grants
}

// mayHear checks one filter of a SUBSCRIBE.
func (s *session) mayHear(subs *subscriptions, i int, f hal.Filter) (LogCause, error) {
	l := &s.h.limits
	if l.SubscribeFilters > 0 && i >= l.SubscribeFilters {
		return CauseTooManyFilters, fmt.Errorf("%w filters in one request, at most %d", ErrTooMany, l.SubscribeFilters)
	}
	if err := s.d.product.acl.Load().Subscribe(s.d.id, f.Topic); err != nil {
		return CauseNoAuthorization, err
	}
	if l.Subscriptions > 0 && len(subs.with(f.Topic, f.QoS).Filters) > l.Subscriptions {
		return CauseTooManyFilters, fmt.Errorf("%w filters, at most %d", ErrTooMany, l.Subscriptions)
	}
	return "", nil
}

// Unsubscribe implements hal.Subscriber.
func (s *session) Unsubscribe(ctx context.Context, filters []string) {
	if s.gw == nil {
		s.unsubscribe(ctx, filters)
		return
	}
	for i, f := range filters {
		s.subscriberOf(f).unsubscribe(ctx, filters[i:i+1])
	}
}

func (s *session) unsubscribe(ctx context.Context, filters []string) {
	subs := s.subs.Load()
	for _, f := range filters {
		subs = subs.without(f)
		if subs.Implicit && len(subs.Dropped) < max(s.h.limits.Subscriptions, 100) && s.Authorize(topic.Sub, f) == nil {
			subs.Dropped = append(slices.DeleteFunc(subs.Dropped, func(old string) bool { return old == f }), strings.Clone(f))
		}
	}
	// The worst of a lost removal is a message more after a resumed session.
	_ = s.setSubscriptions(ctx, subs)
}

// setSubscriptions makes subs valid, durably when the session is to be resumed,
// and has the queue looked at: something may wait for a new filter.
func (s *session) setSubscriptions(ctx context.Context, subs *subscriptions) error {
	if s.clean {
		s.subs.Store(subs)
		s.d.post(func(b *batch) { s.pump(b) })
		return nil
	}
	return s.h.do(ctx, s.d, func(b *batch) error {
		if s.d.sess != s {
			return errSessionEnded
		}
		s.d.stored = &storedSession{*subs}
		b.st.Put(deviceKey(prefixSession, s.d.id), encodeJSON(s.d.stored))
		b.then(func(err error) {
			if err == nil {
				s.subs.Store(subs)
				s.d.post(func(b *batch) { s.pump(b) })
			}
		})
		return nil
	})
}

// loadSession reads the stored session of a device that is being loaded.
func (h *Hub) loadSession(ctx context.Context, d *device) error {
	e, err := h.store.Get(ctx, deviceKey(prefixSession, d.id))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hub: session of %v: %w", d.id, err)
	}
	d.stored = new(storedSession)
	if err := decodeJSON(e.Value, d.stored); err != nil {
		return fmt.Errorf("hub: session of %v: %w", d.id, err)
	}
	return nil
}
