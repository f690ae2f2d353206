// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
	"github.com/openalink/iot/tsl"
)

// Forwarded is a message in the form rules, consumer groups and applications
// know it: the topic and body of wire facts section 18.1.
type Forwarded struct {
	MessageID int64
	Topic     string
	Body      []byte // JSON, or a device's own bytes on a custom topic
	Time      time.Time
}

// Forward forms what an entry of the message log is forwarded as: nothing for
// entries nobody outside wants, more than one for posts that carry several
// events. The error wraps ErrUnknownDevice when the device is no more.
func (h *Hub) Forward(ctx context.Context, m Message) ([]Forwarded, error) {
	return h.forward(m, func() (string, error) { return h.iotID(ctx, m.Device) })
}

// forward is Forward with another way to find the IotID of the device.
func (h *Hub) forward(m Message, iotID func() (string, error)) ([]Forwarded, error) {
	if m.Platform {
		return []Forwarded{{m.ID, m.Topic, m.Payload, m.Time}}, nil
	}
	t, err := topic.Parse(m.Topic)
	if err != nil {
		return nil, fmt.Errorf("hub: forward: %w", err)
	}
	if t.Family == topic.FamilyCustom {
		return []Forwarded{{m.ID, m.Topic, m.Payload, m.Time}}, nil
	}
	if t.Family != topic.FamilySys && (t.Family != topic.FamilyOTA || forwardedUpdate(t.Path) == "") {
		return nil, nil
	}
	known, err := iotID()
	if err != nil {
		return nil, err
	}
	f := forwarding{about: aboutDevice(m.Device, known), at: m.Time}
	if p, err := h.product(m.Device.Product); err == nil {
		f.model, f.judge = p.events.Load(), p.judge.Load()
	}
	if t.Family == topic.FamilyOTA {
		f.update(t.Path, m.Payload)
	} else {
		var msg alink.Message
		if err := alink.Parse(m.Payload, &msg); err != nil {
			return nil, fmt.Errorf("hub: forward: %w", err)
		}
		f.message(t.Path, &msg)
	}
	for i := range f.out {
		f.out[i].MessageID, f.out[i].Time = m.ID, m.Time
	}
	return f.out, f.err
}

// about names the device in every body.
type about struct {
	IotID      string `json:"iotId"`
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName"`
}

func aboutDevice(id iot.DeviceID, iotID string) about { return about{iotID, id.Product, id.Name} }

// topic names a forwarded topic of the device.
func (a about) topic(path string) string { return "/" + a.ProductKey + "/" + a.DeviceName + "/" + path }

// forwarding forms the bodies of one message.
type forwarding struct {
	about about
	at    time.Time   // of arrival
	model *eventNames // nil without a thing model
	judge *judge      // nil without one to apply
	out   []Forwarded
	err   error
}

func (f *forwarding) add(path string, body any) {
	raw, err := alink.Marshal(body)
	if err != nil {
		f.err = fmt.Errorf("hub: forward: %w", err)
		return
	}
	f.out = append(f.out, Forwarded{Topic: f.about.topic(path), Body: raw})
}

// message forms what a message below /sys stands for.
func (f *forwarding) message(path string, m *alink.Message) {
	params := alink.LenientParams(m.Params)
	switch {
	case path == "thing/event/property/post":
		f.properties(params)
	case path == "thing/event/property/batch/post":
		f.batch(params)
	case path == "thing/event/property/history/post":
		f.history(params)
	case path == "thing/event/property/pack/post":
		f.pack(params)
	case strings.HasPrefix(path, "thing/event/") && strings.HasSuffix(path, "/post"):
		value, ms := alink.EventParams(params)
		f.event("thing/event/"+eventOf(path)+"/post", eventOf(path), value, ms)
	case path == "thing/deviceinfo/update":
		f.tags(params)
	case path == "thing/list/found":
		f.found(params)
	case strings.HasSuffix(path, topic.ReplySuffix):
		f.reply("/sys/"+f.about.ProductKey+"/"+f.about.DeviceName+"/"+path, m)
	}
}

// timed is a value and its time in epoch milliseconds.
type timed struct {
	Value json.RawMessage `json:"value"`
	Time  int64           `json:"time"`
}

func (f *forwarding) timed(value []byte, ms int64) timed {
	if ms == 0 {
		ms = f.at.UnixMilli()
	}
	return timed{value, ms}
}

// head is what the bodies of property posts share.
type head struct {
	about
	GmtCreate  int64  `json:"gmtCreate"`
	DeviceType string `json:"deviceType"`
}

func (f *forwarding) head() head { return head{f.about, f.at.UnixMilli(), deviceType} }

// deviceType is the category told for every product: the hub knows no others.
const deviceType = "CustomCategory"

// properties forms a property post: what most messages are, so it is written
// without a map.
func (f *forwarding) properties(params []byte) {
	var list []property
	add := func(name string, value []byte, ms int64) bool {
		list = append(list, property{name, f.timed(value, ms)})
		return true
	}
	if f.judge != nil { // it knows what is wrapped
		f.err = f.judge.Post(params, func(v tsl.Verdict) bool { return add(v.Name, v.Value, v.TimeMS) })
	} else {
		f.err = alink.EachProperty(params, add)
	}
	if f.err == nil && len(list) > 0 {
		f.out = append(f.out, Forwarded{Topic: f.about.topic("thing/event/property/post"), Body: f.body(list, len(params))})
	}
}

// property is a value of a post.
type property struct {
	name string
	timed
}

// body writes a post of properties by name.
func (f *forwarding) body(list []property, size int) []byte {
	slices.SortFunc(list, func(a, b property) int { return strings.Compare(a.name, b.name) })
	b := make([]byte, 0, 256+size+40*len(list))
	b = appendQuoted(append(b, `{"iotId":`...), f.about.IotID)
	b = appendQuoted(append(b, `,"productKey":`...), f.about.ProductKey)
	b = appendQuoted(append(b, `,"deviceName":`...), f.about.DeviceName)
	b = strconv.AppendInt(append(b, `,"gmtCreate":`...), f.at.UnixMilli(), 10)
	b = append(b, `,"deviceType":"`+deviceType+`","items":{`...)
	for i, p := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(appendQuoted(b, p.name), `:{"value":`...), p.Value...)
		b = strconv.AppendInt(append(b, `,"time":`...), p.Time, 10)
		b = append(b, '}')
	}
	return append(b, "}}"...)
}

// appendQuoted writes a JSON string. Names hardly ever need an escape.
func appendQuoted(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := alink.Marshal(s) // text always can be written
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// batch forms a post of several values a property and several events a kind.
func (f *forwarding) batch(params []byte) {
	var in struct {
		Properties map[string][]timed `json:"properties"`
		Events     map[string][]timed `json:"events"`
	}
	if f.err = json.Unmarshal(params, &in); f.err != nil {
		return
	}
	type body struct {
		head
		Items map[string][]timed `json:"items"`
	}
	if len(in.Properties) > 0 {
		f.add("thing/property/batch/post", body{f.head(), in.Properties})
	}
	if len(in.Events) > 0 {
		f.add("thing/event/batch/post", body{f.head(), in.Events})
	}
}

// history forms values of the past, each as a post of its own. The log holds such
// a post once for each device it is about.
func (f *forwarding) history(params []byte) {
	all, err := readSaid("thing/event/property/history/post", params)
	f.err = err
	for _, s := range all {
		for _, p := range s.properties {
			f.items("thing/event/property/history/post", map[string]timed{p.name: p.timed})
		}
		for _, e := range s.events {
			f.event("thing/event/"+e.name+"/history/post", e.name, e.Value, e.Time)
		}
	}
}

// pack forms what a pack said about one device: as if it had posted that itself.
func (f *forwarding) pack(params []byte) {
	var in pack
	if f.err = json.Unmarshal(params, &in); f.err != nil {
		return
	}
	f.items("thing/event/property/post", in.Properties)
	for _, e := range flattenOne(in.Events) {
		f.event("thing/event/"+e.name+"/post", e.name, e.Value, e.Time)
	}
}

// items forms a post of properties.
func (f *forwarding) items(path string, items map[string]timed) {
	if len(items) > 0 {
		f.add(path, struct {
			head
			Items map[string]timed `json:"items"`
		}{f.head(), items})
	}
}

// eventNames tells name and level of a product's events.
type eventNames map[string][2]string

// eventsOf returns the events of a thing model, nil without one.
func eventsOf(m *tsl.Model) *eventNames {
	if m == nil {
		return nil
	}
	names := make(eventNames, len(m.Events))
	for i := range m.Events {
		names[m.Events[i].Identifier] = [2]string{m.Events[i].Name, string(m.Events[i].Type)}
	}
	return &names
}

// event forms an event post.
func (f *forwarding) event(path, identifier string, value []byte, ms int64) {
	t := f.timed(value, ms)
	var known [2]string
	if f.model != nil {
		known = (*f.model)[identifier]
	}
	level := known[1]
	if level == "" {
		level = "info"
	}
	f.add(path, struct {
		Identifier string `json:"identifier"`
		Name       string `json:"name"`
		Type       string `json:"type"`
		about
		GmtCreate int64           `json:"gmtCreate"`
		Value     json.RawMessage `json:"value"`
		Time      int64           `json:"time"`
	}{identifier, known[0], level, f.about, f.at.UnixMilli(), t.Value, t.Time})
}

// tags forms a change of tags.
func (f *forwarding) tags(params []byte) {
	f.add("thing/deviceinfo/update", struct {
		about
		Value             json.RawMessage `json:"value"`
		MessageCreateTime int64           `json:"messageCreateTime"`
	}{f.about, params, f.at.UnixMilli()})
}

// found forms the sub-devices a gateway found.
func (f *forwarding) found(params []byte) {
	f.add("thing/list/found", struct {
		GwIotID      string          `json:"gwIotId"`
		GwProductKey string          `json:"gwProductKey"`
		GwDeviceName string          `json:"gwDeviceName"`
		Devices      json.RawMessage `json:"devices"`
	}{f.about.IotID, f.about.ProductKey, f.about.DeviceName, params})
}

// reply forms a device's answer to a request of the platform.
func (f *forwarding) reply(name string, m *alink.Message) {
	data := json.RawMessage(m.Data)
	if len(data) == 0 {
		data = json.RawMessage("{}")
	}
	f.add("thing/downlink/reply/message", struct {
		GmtCreate int64 `json:"gmtCreate"`
		about
		RequestID string          `json:"requestId"`
		Code      alink.Code      `json:"code"`
		Message   string          `json:"message"`
		Topic     string          `json:"topic"`
		Data      json.RawMessage `json:"data"`
	}{f.at.UnixMilli(), f.about, m.ID, m.Code, m.Text, name, data})
}

// ForwardPresence forms a device's coming or going. previous is the time of the
// event before it, zero for none.
func ForwardPresence(d Device, e PresenceEvent, previous time.Time) (Forwarded, error) {
	if previous.IsZero() {
		previous = e.Time
	}
	status := "offline"
	if e.Online {
		status = "online"
	}
	raw, err := alink.Marshal(struct {
		Status string `json:"status"`
		about
		Time        string `json:"time"`
		UTCTime     string `json:"utcTime"`
		LastTime    string `json:"lastTime"`
		UTCLastTime string `json:"utcLastTime"`
		ClientIP    string `json:"clientIp"`
	}{status, aboutDevice(d.ID, d.IotID), local(e.Time), utc(e.Time), local(previous), utc(previous), host(e.Addr)})
	if err != nil {
		return Forwarded{}, fmt.Errorf("hub: forward: %w", err)
	}
	return Forwarded{MessageID: e.Session, Topic: "/as/mqtt/status/" + d.ID.String(), Body: raw, Time: e.Time}, nil
}

// The forms of time in presence bodies: eight hours east, and UTC.
func local(t time.Time) string {
	return t.In(time.FixedZone("", 8*60*60)).Format("2006-01-02 15:04:05.000")
}
func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// host drops the port of an address.
func host(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i >= 0 {
		return strings.Trim(addr[:i], "[]")
	}
	return addr
}
