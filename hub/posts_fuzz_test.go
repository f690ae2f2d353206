// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"testing"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
)

// FuzzPosts has devices, with and without a model, post anything on every topic of
// posts. Whatever is accepted can be forwarded and read as history.
func FuzzPosts(f *testing.F) {
	paths := []string{
		"thing/event/property/post", "thing/event/property/batch/post", "thing/event/property/history/post",
		"thing/event/property/pack/post", "thing/event/Alarm/post", "thing/property/desired/get", "thing/property/desired/delete",
		"thing/job/get", "thing/job/update", "thing/dynamicTsl/get", "thing/deviceinfo/update",
	}
	limits := hub.NoLimits()
	p := open(f, hub.Config{Limits: &limits, Workers: 1})
	f.Cleanup(func() { _ = p.hub.Close() })
	products := []hub.Product{p.product, p.newProduct("a1TestPk0002")}
	p.product = products[1]
	p.model(hub.Strict)
	clients, runs := make([]*client, 2), 0
	for i, params := range []string{
		`{"Power":1,"Level":{"value":5,"time":7}}`, `{"properties":{"Level":[{"value":5,"time":1}]},"events":{"Alarm":[{"value":{"Code":1}}]}}`,
		`[{"properties":[{"Level":{"value":1,"time":50}}],"events":[{"Alarm":{"value":{"Code":1},"time":7}}]}]`,
		`{"properties":{"Power":{"value":0}},"subDevices":[{"identity":{}}]}`, `{"value":{"Code":3},"time":9}`, `["Power"]`, `{"Power":{"version":"1"}}`,
		`{"taskId":"$next"}`, `{"taskId":"1","status":"FAILED"}`, `{"nodes":["type"]}`, `[{"attrKey":"a","attrValue":"b"}]`,
	} {
		f.Add(uint8(i), []byte(params))
	}
	cursor := map[*client]string{}
	f.Fuzz(func(t *testing.T, which uint8, params []byte) {
		p.t = t // not that of the target, which is busy
		path := paths[int(which)%len(paths)]
		payload := fmt.Appendf(nil, `{"id":"1","params":%s}`, params)
		var m alink.Message
		if alink.Parse(payload, &m) != nil {
			return
		}
		if runs++; runs%200 == 1 { // new ones, whose histories are short
			for i := range clients {
				if clients[i] != nil {
					clients[i].session.Close(hal.CauseClient)
				}
				p.product = products[i]
				clients[i] = p.connect(p.register(fmt.Sprintf("lamp-%d", runs)))
			}
			clear(cursor)
		}
		for _, c := range clients {
			if _, err := c.publish(c.sys(path), string(payload), 1); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: c.id, After: cursor[c]}) {
				if err != nil {
					t.Fatal(err)
				}
				cursor[c] = m.Cursor
				if _, err := p.hub.Forward(t.Context(), m); err != nil {
					t.Fatalf("%s %s: forward: %v", m.Topic, m.Payload, err)
				}
			}
			for _, kind := range []hub.HistoryKind{hub.PropertyHistory, hub.EventHistory} {
				for _, err := range p.hub.History(t.Context(), hub.HistoryQuery{Device: c.id, Kind: kind}) {
					if err != nil {
						t.Fatalf("%s: history: %v", path, err)
					}
				}
			}
		}
	})
}
