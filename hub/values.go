// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

// Value is the latest value of a property.
type Value struct {
	Value json.RawMessage `json:"value"`
	Time  time.Time       `json:"time"` // as told by the device, otherwise of arrival
}

// values are the latest values of a device in the order they first came. Posts
// of a device name the same properties in the same order, so finding one is
// nearly always looking at the next.
type values struct {
	known bool // read from the store
	dirty bool // changed in the worker's current batch
	all   []value
	next  int // where the next property is expected
}

type value struct {
	name string
	json []byte
	ms   int64
}

// maxValues bounds what a device without a thing model can make the hub keep.
const maxValues = 1000

// set notes a value. name and json are copied.
func (v *values) set(name string, json []byte, ms int64) {
	i := v.find(name)
	if i < 0 {
		i = len(v.all)
		v.all = append(v.all, value{name: strings.Clone(name)})
	}
	p := &v.all[i]
	p.json, p.ms = append(p.json[:0], json...), ms
	v.next = i + 1
}

func (v *values) find(name string) int {
	if v.next < len(v.all) && v.all[v.next].name == name {
		return v.next
	}
	for i := range v.all {
		if v.all[i].name == name {
			return i
		}
	}
	return -1
}

// append writes the stored form: the format byte, then for each value its name,
// time and JSON with lengths.
func (v *values) append(dst []byte) []byte {
	dst = append(dst, recordFormat)
	for i := range v.all {
		p := &v.all[i]
		dst = binary.AppendUvarint(dst, uint64(len(p.name)))
		dst = append(dst, p.name...)
		dst = binary.AppendVarint(dst, p.ms)
		dst = binary.AppendUvarint(dst, uint64(len(p.json)))
		dst = append(dst, p.json...)
	}
	return dst
}

// size is at least the length of what append writes.
func (v *values) size() int {
	n := 1
	for i := range v.all {
		n += len(v.all[i].name) + len(v.all[i].json) + 3*binary.MaxVarintLen64
	}
	return n
}

func (v *values) decode(b []byte) error {
	if len(b) == 0 || b[0] != recordFormat {
		return store.ErrFormat
	}
	r := reader{b: b[1:]}
	for len(r.b) > 0 && !r.bad {
		name, ms, json := string(r.bytes()), r.varint(), r.bytes()
		if !r.bad {
			v.all = append(v.all, value{name: name, ms: ms, json: append([]byte(nil), json...)})
		}
	}
	if r.bad {
		return fmt.Errorf("%w: property values are cut short", store.ErrFormat)
	}
	return nil
}

// loadValues reads the values of d once; d.mu is held.
func (h *Hub) loadValues(ctx context.Context, d *device) error {
	if d.values.known {
		return nil
	}
	e, err := h.store.Get(ctx, deviceKey(prefixValues, d.id))
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return fmt.Errorf("hub: values of %v: %w", d.id, err)
	default:
		d.values = values{}
		if err := d.values.decode(e.Value); err != nil {
			return fmt.Errorf("hub: values of %v: %w", d.id, err)
		}
	}
	d.values.known = true
	return nil
}

// Properties returns the latest values of a device, at most those named, all
// when none is. The error wraps ErrUnknownDevice.
func (h *Hub) Properties(ctx context.Context, id iot.DeviceID, names ...string) (map[string]Value, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := h.loadValues(ctx, d); err != nil {
		return nil, err
	}
	out := make(map[string]Value)
	for i := range d.values.all {
		p := &d.values.all[i]
		if len(names) == 0 || contains(names, p.name) {
			out[p.name] = Value{Value: append(json.RawMessage(nil), p.json...), Time: time.UnixMilli(p.ms).UTC()}
		}
	}
	return out, nil
}
