// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/tsl"
)

// The most one post of a gateway may carry (wire facts section 11).
const (
	maxPackDevices = 20
	maxPackEvents  = 20
)

// named is a value of a property, or the output of an event, with its time.
type named struct {
	name string
	timed
}

// said is what a post says about one device.
type said struct {
	id         iot.DeviceID // zero for the sender
	properties []named
	events     []named
}

// identity names a device in a post.
type identity struct {
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName"`
}

func (i identity) id() iot.DeviceID { return iot.DeviceID{Product: i.ProductKey, Name: i.DeviceName} }

// speaksFor returns the device that a post names, nil when the sender may not
// speak for it: a device speaks for itself, a gateway for those logged in through
// it too.
func (w *workContext) speaksFor(id iot.DeviceID) *device {
	if id.IsZero() || id == w.s.d.id {
		return w.s.d
	}
	return w.s.subDevice(w.sh, id)
}

// batchPost takes thing.event.property.batch.post: several values a property.
func (h *Hub) batchPost(ctx context.Context, r *alink.Request) alink.Reply {
	return h.take(ctx, r, func(s *said) any {
		return batchParams{lists(s.properties), lists(s.events)}
	})
}

// batchParams are the params of a batch post.
type batchParams struct {
	Properties map[string][]timed `json:"properties"`
	Events     map[string][]timed `json:"events"`
}

// readSaid reads the params of a batch, pack or history post.
func readSaid(path string, params []byte) ([]said, error) {
	switch path {
	case "thing/event/property/batch/post":
		var in batchParams
		err := json.Unmarshal(params, &in)
		return []said{{properties: flatten(in.Properties), events: flatten(in.Events)}}, err
	case "thing/event/property/pack/post":
		var in pack
		if err := json.Unmarshal(params, &in); err != nil {
			return nil, err
		}
		all := []said{in.said()}
		for i := range in.SubDevices {
			if in.SubDevices[i].Identity == nil {
				return nil, errNoIdentity
			}
			all = append(all, in.SubDevices[i].said())
		}
		return all, nil
	}
	if string(params) == "{}" {
		return nil, nil
	}
	var in []past
	if err := json.Unmarshal(params, &in); err != nil {
		return nil, err
	}
	all := make([]said, 0, len(in))
	for i := range in {
		all = append(all, in[i].said())
	}
	return all, nil
}

var errNoIdentity = errors.New("hub: a sub-device has no identity")

// pack is the body of a pack post, and of each of its sub-devices.
type pack struct {
	Identity   *identity        `json:"identity,omitempty"`
	Properties map[string]timed `json:"properties,omitempty"`
	Events     map[string]timed `json:"events,omitempty"`
	SubDevices []pack           `json:"subDevices,omitempty"`
}

// packPost takes thing.event.property.pack.post: a gateway for itself and its
// sub-devices.
func (h *Hub) packPost(ctx context.Context, r *alink.Request) alink.Reply {
	return h.take(ctx, r, func(s *said) any {
		return pack{Properties: lastOf(s.properties), Events: lastOf(s.events)}
	})
}

func (p *pack) said() said {
	s := said{properties: flattenOne(p.Properties), events: flattenOne(p.Events)}
	if p.Identity != nil {
		s.id = p.Identity.id()
	}
	return s
}

// past is an element of a history post.
type past struct {
	Identity   *identity          `json:"identity,omitempty"`
	Properties []map[string]timed `json:"properties"`
	Events     []map[string]timed `json:"events"`
}

func (p *past) said() said {
	var s said
	if p.Identity != nil {
		s.id = p.Identity.id()
	}
	for _, m := range p.Properties {
		s.properties = append(s.properties, flattenOne(m)...)
	}
	for _, m := range p.Events {
		s.events = append(s.events, flattenOne(m)...)
	}
	return s
}

// historyPost takes thing.event.property.history.post: values of the past, which
// change the latest ones only where they are newer.
func (h *Hub) historyPost(ctx context.Context, r *alink.Request) alink.Reply {
	return h.take(ctx, r, func(s *said) any {
		return []past{{Properties: singles(s.properties), Events: singles(s.events)}}
	})
}

// take judges what a post says and keeps what is good, device by device. body
// forms the params that are logged for a device.
func (h *Hub) take(ctx context.Context, r *alink.Request, body func(*said) any) alink.Reply {
	w := work(ctx)
	all, err := readSaid(r.Topic.Path, alink.LenientParams(r.Params))
	if err != nil {
		return badParams("params are not those of a " + strings.TrimPrefix(r.Topic.Path, "thing/event/property/"))
	}
	devices, code := w.speakers(all)
	if code != alink.CodeOK {
		return alink.Reply{Code: code}
	}
	var bad []*tsl.Reason
	reject := false
	for i := range all {
		here := all[i].judge(devices[i], r.Time.UnixMilli())
		if j := devices[i].product.judge.Load(); j != nil && len(here) > 0 {
			reject = reject || j.mode == Reject
		}
		bad = append(bad, here...)
	}
	switch {
	case reject:
		return w.refuse(bad)
	case len(bad) > 0:
		h.logDropped(r, bad)
	}
	for i := range all {
		if err := h.keepSaid(w, devices[i], &all[i]); err != nil {
			return alink.ErrorReply(err)
		}
		params, err := alink.Marshal(body(&all[i]))
		if err != nil {
			return alink.ErrorReply(err)
		}
		w.record(devices[i], r, params)
	}
	return alink.OK(nil)
}

// speakers finds the devices a post is about, or the code that refuses it: for
// devices that are not the sender's, and for more than one post may carry.
func (w *workContext) speakers(all []said) ([]*device, alink.Code) {
	if len(all) > maxPackDevices+1 {
		return nil, alink.CodeTooManySubDevices
	}
	properties, events := 0, 0
	devices := make([]*device, len(all))
	for i := range all {
		properties += len(all[i].properties)
		events += len(all[i].events)
		if devices[i] = w.speaksFor(all[i].id); devices[i] == nil {
			return nil, alink.CodeTopoMissing
		}
	}
	switch {
	case properties > maxProperties:
		return nil, alink.CodeTooManyProperties
	case events > maxPackEvents:
		return nil, alink.CodeTooManyEvents
	}
	return devices, alink.CodeOK
}

// judge drops what breaks the model of d and returns why; values without a time
// get that of arrival.
func (s *said) judge(d *device, arrival int64) []*tsl.Reason {
	var bad []*tsl.Reason
	j := d.product.judge.Load()
	drop := func(list []named, judge func(string, []byte) *tsl.Reason) []named {
		return slices.DeleteFunc(list, func(n named) bool {
			reason := missing(n)
			if reason == nil && j != nil {
				reason = judge(n.name, n.Value)
			}
			if reason != nil {
				bad = append(bad, reason)
			}
			return reason != nil
		})
	}
	for _, list := range [][]named{s.properties, s.events} {
		for i := range list {
			list[i].Time = cmp.Or(max(list[i].Time, 0), arrival)
		}
	}
	if j == nil {
		s.properties, s.events = drop(s.properties, nil), drop(s.events, nil)
		return nil
	}
	s.properties = drop(s.properties, j.Property)
	s.events = drop(s.events, func(name string, value []byte) *tsl.Reason {
		r := j.Event(name, value)
		if r != nil {
			r.Pointer = "/" + name + r.Pointer
		}
		return r
	})
	return bad
}

func missing(n named) *tsl.Reason {
	if len(n.Value) > 0 {
		return nil
	}
	return &tsl.Reason{Pointer: "/" + n.name, Rule: "type", Message: "the value is missing"}
}

// keepSaid keeps the properties that are newer than what is known.
func (h *Hub) keepSaid(w *workContext, d *device, s *said) error {
	if len(s.properties) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := h.loadValues(w, d); err != nil {
		return err
	}
	for _, p := range s.properties {
		i := d.values.find(p.name)
		if i < 0 && len(d.values.all) >= maxValues || i >= 0 && d.values.all[i].ms > p.Time {
			continue
		}
		d.values.set(p.name, p.Value, p.Time)
	}
	w.changed(d)
	return nil
}

// flatten lists values by name, then in their order.
func flatten(in map[string][]timed) []named {
	var out []named
	for name, list := range in {
		for _, t := range list {
			out = append(out, named{name, t})
		}
	}
	slices.SortStableFunc(out, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	return out
}

func flattenOne(in map[string]timed) []named {
	out := make([]named, 0, len(in))
	for name, t := range in {
		out = append(out, named{name, t})
	}
	slices.SortFunc(out, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	return out
}

// lists, lastOf and singles are flatten and flattenOne backwards.
func lists(all []named) map[string][]timed {
	out := map[string][]timed{}
	for _, n := range all {
		out[n.name] = append(out[n.name], n.timed)
	}
	return out
}

func lastOf(all []named) map[string]timed {
	out := map[string]timed{}
	for _, n := range all {
		out[n.name] = n.timed
	}
	return out
}

func singles(all []named) []map[string]timed {
	out := []map[string]timed{}
	for _, n := range all {
		out = append(out, map[string]timed{n.name: n.timed})
	}
	return out
}
