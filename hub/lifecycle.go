// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

// forwardedTopology is the body of /{pk}/{dn}/thing/topo/lifecycle.
type forwardedTopology struct {
	Action            string  `json:"action"`
	GwIotID           string  `json:"gwIotId"`
	GwProductKey      string  `json:"gwProductKey"`
	GwDeviceName      string  `json:"gwDeviceName"`
	Devices           []about `json:"devices"`
	MessageCreateTime int64   `json:"messageCreateTime"`
}

// forwardTopology tells that sub-devices joined or left a gateway: action is
// create, delete, enable or disable. No message of a device says so in this
// form, so it stands in the message log ready to be forwarded, under the topic of
// the documents (wire facts section 18.1).
func (h *Hub) forwardTopology(b *batch, gw *device, action string, devices []*device) {
	f := forwardedTopology{
		Action: action, GwIotID: gw.rec.IotID, GwProductKey: gw.id.Product, GwDeviceName: gw.id.Name,
		Devices: make([]about, 0, len(devices)), MessageCreateTime: b.now.UnixMilli(),
	}
	for _, d := range devices {
		f.Devices = append(f.Devices, aboutDevice(d.id, d.rec.IotID))
	}
	b.event(gw.key, "/"+gw.key+"/thing/topo/lifecycle", jsonText(f))
}

// event appends to the message log what the platform itself tells of a device.
func (b *batch) event(key, topic string, body []byte) {
	b.st.Append(streamMessages, key, b.now, appendEvent(nil, b.h.ids.next(b.now), topic, body))
}

// forwardedLifecycle is the body of /{pk}/{dn}/thing/lifecycle. The documents'
// deviceSecret is left out: rules would carry it to whoever they feed.
type forwardedLifecycle struct {
	Action string `json:"action"`
	about
	MessageCreateTime int64 `json:"messageCreateTime"`
}

// lifecycle appends to a store batch that a device was created, deleted, enabled or
// disabled.
func (h *Hub) lifecycle(b *store.Batch, action string, id iot.DeviceID, iotID string) {
	now := time.Now()
	key := id.String()
	body := jsonText(forwardedLifecycle{action, aboutDevice(id, iotID), now.UnixMilli()})
	b.Append(streamMessages, key, now, appendEvent(nil, h.ids.next(now), "/"+key+"/thing/lifecycle", body))
}

// forwardPresence appends that a device came or went. previous is the event before.
func (b *batch) forwardPresence(d *device, e PresenceEvent, previous time.Time) {
	f, err := ForwardPresence(Device{ID: d.id, IotID: d.rec.IotID}, e, previous)
	if err == nil { // it is made of text and numbers
		b.event(d.key, f.Topic, f.Body)
	}
}

// devices returns who a request is about.
func (r *subRequest) devices() []*device {
	list := make([]*device, 0, len(r.subs))
	for _, e := range r.subs {
		list = append(list, e.d)
	}
	return list
}
