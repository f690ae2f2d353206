// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/store"
)

const streamPresence = "presence"

// PresenceEvent is a device coming or going. The events of a device form one
// ordered stream: Session rises, and each Online is followed by its offline.
type PresenceEvent struct {
	Session int64     `json:"session,string"` // number of the connection
	Online  bool      `json:"online"`
	Time    time.Time `json:"time"`
	Cause   hal.Cause `json:"cause,omitempty"` // why it went offline
	Addr    string    `json:"address,omitempty"`
	// Via and ViaSession are the gateway a sub-device came through and the number
	// of the gateway's connection. With cause hal.CauseGateway, that connection's
	// own offline event, which comes first, tells why.
	Via        iot.DeviceID `json:"via,omitzero"`
	ViaSession int64        `json:"viaSession,omitempty,string"`
}

// Presence is where a device is now.
type Presence struct {
	State State `json:"state"`
	// Last is the latest event; zero for a device that never connected.
	Last PresenceEvent `json:"last,omitzero"`
}

// presence adds an event to the batch and logs it.
func (s *session) presence(b *batch, e PresenceEvent) {
	e.Session, e.Time = s.number, b.now.UTC()
	if s.via != nil {
		e.Via, e.ViaSession = s.via.d.id, s.via.number
	}
	d := s.d
	value := encodeJSON(e)
	b.st.Append(streamPresence, d.key, b.now, value)
	b.st.Put(deviceKey(prefixStatus, d.id), value)
	b.forwardPresence(d, e, time.Time{})
	entry := LogEntry{Time: b.now, Device: d.id, Via: e.Via, Kind: Behaviour, Operation: OpConnect, Status: Success, Detail: e.Addr}
	if e.Online {
		b.st.Put(deviceKey(prefixOnline, d.id), value)
	} else {
		b.st.Delete(deviceKey(prefixOnline, d.id))
		entry.Operation, entry.Cause = OpDisconnect, LogCause(e.Cause)
		if e.Cause != hal.CauseClient && e.Cause != hal.CauseServerStop {
			entry.Status = Failure
		}
	}
	b.then(func(err error) {
		if err == nil {
			s.h.log(entry)
		}
	})
}

// Presence tells whether a device is online, and the event that made it so: the
// latest one that is durable. The error wraps ErrUnknownDevice.
func (h *Hub) Presence(ctx context.Context, id iot.DeviceID) (Presence, error) {
	dev, err := h.Device(ctx, id)
	if err != nil {
		return Presence{}, err
	}
	p := Presence{State: dev.State}
	e, err := h.store.Get(ctx, deviceKey(prefixStatus, id))
	if errors.Is(err, store.ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if err := decodeJSON(e.Value, &p.Last); err != nil {
		return p, err
	}
	switch {
	case p.State != Online && p.State != Offline:
	case p.Last.Online:
		p.State = Online
	default:
		p.State = Offline
	}
	return p, nil
}

// PresenceEvents yields the stream of a device, since the time given.
func (h *Hub) PresenceEvents(ctx context.Context, id iot.DeviceID, since time.Time) iter.Seq2[PresenceEvent, error] {
	return func(yield func(PresenceEvent, error) bool) {
		for rec, err := range h.store.ReadKey(ctx, streamPresence, id.String(), 0, since, time.Time{}) {
			var e PresenceEvent
			if err == nil {
				err = decodeJSON(rec.Value, &e)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// settlePresence writes an offline event for every device that the last run of
// the hub left online: no connection survives it.
func (h *Hub) settlePresence(ctx context.Context) error {
	now := time.Now()
	var b store.Batch
	for e, err := range h.store.Range(ctx, []byte(prefixOnline), []byte("on0")) {
		if err != nil {
			return err
		}
		var last PresenceEvent
		if err := decodeJSON(e.Value, &last); err != nil {
			return fmt.Errorf("hub: presence of %q: %w", e.Key, err)
		}
		key := string(e.Key[len(prefixOnline):])
		gone := PresenceEvent{Session: last.Session, Time: now.UTC(), Cause: hal.CauseServerStop, Addr: last.Addr, Via: last.Via, ViaSession: last.ViaSession}
		value := encodeJSON(gone)
		b.Append(streamPresence, key, now, value)
		b.Put([]byte(prefixStatus+key), value)
		b.Delete([]byte(prefixOnline + key))
		if err := h.forwardSettled(ctx, &b, splitKey(key), gone); err != nil {
			return err
		}
		if len(b.Writes) >= 2000 {
			if err := store.Commit(ctx, h.store, &b); err != nil {
				return err
			}
			b.Reset()
		}
	}
	if b.IsEmpty() {
		return nil
	}
	return store.Commit(ctx, h.store, &b)
}

// forwardSettled appends to the message log that a device went with the last run.
func (h *Hub) forwardSettled(ctx context.Context, b *store.Batch, id iot.DeviceID, e PresenceEvent) error {
	stored, err := h.store.Get(ctx, deviceKey(prefixDevice, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil // deleted meanwhile
	}
	var rec deviceRecord
	if err == nil {
		err = decodeJSON(stored.Value, &rec)
	}
	if err != nil {
		return fmt.Errorf("hub: presence of %v: %w", id, err)
	}
	f, err := ForwardPresence(Device{ID: id, IotID: rec.IotID}, e, time.Time{})
	if err != nil {
		return err
	}
	b.Append(streamMessages, id.String(), e.Time, appendEvent(nil, h.ids.next(e.Time), f.Topic, f.Body))
	return nil
}
