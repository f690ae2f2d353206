// SPDX-License-Identifier: Apache-2.0

package hub

import iot "github.com/openalink/iot"

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
	m := iot.Message{Topic: "/" + gw.key + "/thing/topo/lifecycle"}
	b.record(gw, "", h.ids.next(b.now), &m, jsonText(f))
}

// devices returns who a request is about.
func (r *subRequest) devices() []*device {
	list := make([]*device, 0, len(r.subs))
	for _, e := range r.subs {
		list = append(list, e.d)
	}
	return list
}
