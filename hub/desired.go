// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

// DesiredState is how far a desired value got.
type DesiredState string

// The states of a desired value.
const (
	// DesiredPending: the device is told at once, or on its next connection.
	DesiredPending DesiredState = "pending"
	// DesiredApplied: the device agreed to set it, or posted that value.
	DesiredApplied DesiredState = "applied"
)

// DesiredProperty is what an application wishes a property to be.
type DesiredProperty struct {
	Value   json.RawMessage `json:"value"`
	Version int64           `json:"version"` // rises with every wish for the device, over deletes too
	State   DesiredState    `json:"state"`
	Time    time.Time       `json:"time"` // of the wish
}

// pathSet is where a device is told to set properties.
const pathSet = "thing/service/property/set"

// SetDesired wishes values for properties and returns their versions. A device
// that is connected is told now, another one on its next connection, until it
// agrees. items is an object of identifiers and values; versions, if any, must be
// the present ones of the properties they name, 0 for none, or the error is
// ErrConflict and nothing is changed. Other errors wrap ErrUnknownDevice,
// ErrTooMany (more than 200 properties), ErrTooLarge (more than one message can
// tell) or ErrInvalid (not an object, or values
// the thing model does not allow).
func (h *Hub) SetDesired(ctx context.Context, id iot.DeviceID, items any, versions map[string]int64) (map[string]int64, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	wishes, err := d.wishes(items)
	if err != nil {
		return nil, err
	}
	var out map[string]int64
	err = h.do(ctx, d, func(b *batch) error {
		for name, version := range versions {
			if now := d.rec.Desired[name].Version; now != version {
				return fmt.Errorf("%w: desired %s of %v has version %d, not %d", ErrConflict, name, id, now, version)
			}
		}
		desired := cloneDesired(d.rec.Desired)
		made := make(map[string]int64, len(wishes))
		seq := d.rec.DesiredSeq
		for _, name := range slices.Sorted(maps.Keys(wishes)) {
			seq++
			made[name] = seq
			desired[name] = DesiredProperty{wishes[name], seq, DesiredPending, b.now.UTC()}
		}
		if err := h.checkDesired(desired); err != nil {
			return err
		}
		d.rec.Desired, d.rec.DesiredSeq, out = desired, seq, made
		b.keepRecord(d)
		h.pushDesired(b, d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// checkDesired holds all that is desired to what one message can tell.
func (h *Hub) checkDesired(desired map[string]DesiredProperty) error {
	size := 0
	for name, p := range desired {
		size += len(name) + len(p.Value)
	}
	const frame = 1024 // envelope, quotes and commas
	switch {
	case len(desired) > maxProperties:
		return fmt.Errorf("%w desired properties, at most %d", ErrTooMany, maxProperties)
	case size+frame > h.limits.MessageBytes:
		return fmt.Errorf("%w: desired properties of %d bytes", ErrTooLarge, size)
	}
	return nil
}

// wishes reads an object of values and holds it against the thing model.
func (d *device) wishes(items any) (map[string]json.RawMessage, error) {
	raw, err := alink.Marshal(items)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := d.mayAsk(raw); err != nil {
		return nil, err
	}
	var wishes map[string]json.RawMessage
	if err := json.Unmarshal(raw, &wishes); err != nil || wishes == nil {
		return nil, fmt.Errorf("%w: an object of properties is expected", ErrInvalid)
	}
	return wishes, nil
}

// Desired returns what is desired of a device: the properties named, all when
// none is. The error wraps ErrUnknownDevice.
func (h *Hub) Desired(ctx context.Context, id iot.DeviceID, names ...string) (map[string]DesiredProperty, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[string]DesiredProperty)
	for name, p := range d.rec.Desired {
		if len(names) == 0 || contains(names, name) {
			out[name] = p
		}
	}
	return out, nil
}

// ClearDesired withdraws wishes: those named, with the version given or, for 0,
// any. A wish that has another version stays. The error wraps ErrUnknownDevice.
func (h *Hub) ClearDesired(ctx context.Context, id iot.DeviceID, versions map[string]int64) error {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.release(d)
	return h.do(ctx, d, func(b *batch) error {
		if d.clearDesired(versions) {
			b.keepRecord(d)
			h.pushDesired(b, d)
		}
		return nil
	})
}

func cloneDesired(m map[string]DesiredProperty) map[string]DesiredProperty {
	if m == nil {
		return make(map[string]DesiredProperty)
	}
	return maps.Clone(m)
}

// clearDesired removes wishes and reports whether there were any.
func (d *device) clearDesired(versions map[string]int64) bool {
	desired := cloneDesired(d.rec.Desired)
	for name, version := range versions {
		if p, ok := desired[name]; ok && (version == 0 || version == p.Version) {
			delete(desired, name)
		}
	}
	changed := len(desired) != len(d.rec.Desired)
	d.rec.Desired = desired
	return changed
}

// keepRecord stores the record of d.
func (b *batch) keepRecord(d *device) {
	b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
	b.touch(d)
}

// pushDesired queues the message that tells a device what is pending, in place of
// those queued before. Away devices have none queued: their next session begins
// with it. The worker calls it with the lock held.
func (h *Hub) pushDesired(b *batch, d *device) {
	d.queue.dropDesired(b, d)
	if d.sess == nil {
		return
	}
	values, versions := make(map[string]json.RawMessage), make(map[string]int64)
	for name, p := range d.rec.Desired {
		if p.State == DesiredPending {
			values[name], versions[name] = p.Value, p.Version
		}
	}
	if len(values) == 0 {
		return
	}
	call, err := h.request("thing.service.property.set", values)
	if err != nil {
		h.logger.Error("desired values cannot be written", "device", d.key, "error", err)
		return
	}
	q := &queued{
		id: h.ids.next(b.now), callID: call.id, topic: topic.Sys(d.id, pathSet), payload: call.bytes,
		expires: b.now.Add(h.limits.QueueTTL).UnixMilli(), hold: true, desired: versions,
	}
	d.queue.add(q)
	b.st.Put(q.key(d.id), q.encode())
	b.noteState(d, q, Queued, "")
	b.then(func(err error) {
		if err == nil {
			h.pump(d)
		}
	})
}

// dropDesired removes what told the device of wishes before. What is on its way
// cannot be called back, but is not sent again: it might overtake a newer wish.
func (u *queue) dropDesired(b *batch, d *device) {
	for _, q := range slices.Clone(u.all) {
		switch {
		case q.desired == nil:
		case q.session == nil:
			u.remove(b, d, q)
			b.noteState(d, q, Cancelled, "a later one takes its place")
		default:
			q.stale = true
			b.st.Delete(q.key(d.id))
		}
	}
}

// settleDesired notes that the device agreed to what a push told it, as far as
// that is what is desired still.
func (b *batch) settleDesired(d *device, versions map[string]int64) {
	b.applied(d, func(name string, p DesiredProperty) bool { return versions[name] == p.Version })
}

// applied marks the pending wishes that are fulfilled.
func (b *batch) applied(d *device, fulfilled func(name string, p DesiredProperty) bool) {
	var desired map[string]DesiredProperty
	for name, p := range d.rec.Desired {
		if p.State == DesiredPending && fulfilled(name, p) {
			if desired == nil {
				desired = cloneDesired(d.rec.Desired)
			}
			p.State = DesiredApplied
			desired[name] = p
		}
	}
	if desired != nil {
		d.rec.Desired = desired
		b.keepRecord(d)
	}
}

// desiredPosted marks the wishes that the values just kept fulfil.
func (b *batch) desiredPosted(d *device) {
	if len(d.rec.Desired) == 0 {
		return
	}
	b.applied(d, func(name string, p DesiredProperty) bool {
		i := d.values.find(name)
		return i >= 0 && d.values.all[i].ms >= p.Time.UnixMilli() && sameJSON(d.values.all[i].json, p.Value)
	})
}

// sameJSON compares two values: numbers by their size, the rest by their text.
func sameJSON(a, b []byte) bool {
	if string(a) == string(b) {
		return true
	}
	var x, y float64
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
}

// desiredGet answers thing.property.desired.get with the wishes named, or all.
func (h *Hub) desiredGet(ctx context.Context, r *alink.Request) alink.Reply {
	var names []string
	_ = json.Unmarshal(alink.LenientParams(r.Params), &names) // anything else asks for all
	if len(names) > maxProperties {
		return alink.Reply{Code: alink.CodeTooManyDesired}
	}
	type wish struct {
		Value   json.RawMessage `json:"value"`
		Version int64           `json:"version"`
	}
	out := map[string]wish{}
	d := work(ctx).s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, p := range d.rec.Desired {
		if len(names) == 0 || contains(names, name) {
			out[name] = wish{p.Value, p.Version}
		}
	}
	return alink.OK(jsonText(out))
}

// desiredDelete takes thing.property.desired.delete. Wishes with another version
// than the one named stay (wire facts section 11).
func (h *Hub) desiredDelete(ctx context.Context, r *alink.Request) alink.Reply {
	var in map[string]struct {
		Version json.Number `json:"version"`
	}
	if json.Unmarshal(alink.LenientParams(r.Params), &in) != nil {
		return badParams("params must be an object of identifiers and versions")
	}
	if len(in) > maxProperties {
		return alink.Reply{Code: alink.CodeTooManyDesired}
	}
	versions := make(map[string]int64, len(in))
	for name, v := range in {
		n, err := v.Version.Int64()
		if v.Version != "" && err != nil {
			return badParams("a version is no number")
		}
		versions[name] = n
	}
	w := work(ctx)
	d := w.s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.clearDesired(versions) {
		w.b.keepRecord(d)
		h.pushDesired(w.b, d)
	}
	return alink.OK(nil)
}
