// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/tsl"
)

func TestForwardedBodies(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		d := p.register("lamp-1")
		c := p.connect(d)
		for _, m := range []struct{ path, payload string }{
			{"thing/event/property/post", `{"id":"1","params":{"Power":1,"Level":{"value":5,"time":7}}}`},
			{"thing/event/Alarm/post", `{"id":"2","params":{"value":{"Code":3},"time":9}}`},
			{"thing/event/property/batch/post", `{"id":"3","params":{"properties":{"Power":[{"value":1,"time":1},{"value":0,"time":2}]},"events":{"Alarm":[{"value":{"Code":1},"time":3}]}}}`},
			{"thing/deviceinfo/update", `{"id":"4","params":[{"attrKey":"a","attrValue":"b"}]}`},
		} {
			c.post(m.path, m.payload)
		}
		if _, err := c.publish(c.sys("thing/service/property/set_reply"), `{"id":"77","code":200,"data":{}}`, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := c.publish("/"+c.id.String()+"/user/update", "bytes", 1); err != nil {
			t.Fatal(err)
		}
		var got []string
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			list, err := p.hub.Forward(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list {
				if f.MessageID != m.ID {
					t.Errorf("message id %d, want %d", f.MessageID, m.ID)
				}
				got = append(got, f.Topic+" "+strings.ReplaceAll(string(f.Body), d.IotID, "IOT"))
			}
		}
		const at, me = "946684800000", `"iotId":"IOT","productKey":"a1TestPk0001","deviceName":"lamp-1"`
		const root = "/a1TestPk0001/lamp-1/"
		want := []string{
			root + `thing/event/property/post {` + me + `,"gmtCreate":` + at + `,"deviceType":"CustomCategory","items":{"Level":{"value":5,"time":7},"Power":{"value":1,"time":` + at + `}}}`,
			root + `thing/event/Alarm/post {"identifier":"Alarm","name":"","type":"alert",` + me + `,"gmtCreate":` + at + `,"value":{"Code":3},"time":9}`,
			root + `thing/property/batch/post {` + me + `,"gmtCreate":` + at + `,"deviceType":"CustomCategory","items":{"Power":[{"value":1,"time":1},{"value":0,"time":2}]}}`,
			root + `thing/event/batch/post {` + me + `,"gmtCreate":` + at + `,"deviceType":"CustomCategory","items":{"Alarm":[{"value":{"Code":1},"time":3}]}}`,
			root + `thing/deviceinfo/update {` + me + `,"value":[{"attrKey":"a","attrValue":"b"}],"messageCreateTime":` + at + `}`,
			root + `thing/downlink/reply/message {"gmtCreate":` + at + `,` + me + `,"requestId":"77","code":200,"message":"","topic":"/sys/a1TestPk0001/lamp-1/thing/service/property/set_reply","data":{}}`,
			root + "user/update bytes",
		}
		if len(got) != len(want) {
			t.Fatalf("%d bodies, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("got  %s\nwant %s", got[i], want[i])
			}
		}
		f, err := hub.ForwardPresence(d, hub.PresenceEvent{Online: true, Time: time.UnixMilli(1524448722123), Addr: "[::1]:4711"}, time.Time{})
		if err != nil || f.Topic != "/as/mqtt/status/a1TestPk0001/lamp-1" ||
			!strings.Contains(string(f.Body), `"time":"2018-04-23 09:58:42.123","utcTime":"2018-04-23T01:58:42.123Z"`) ||
			!strings.Contains(string(f.Body), `"clientIp":"::1"`) {
			t.Errorf("presence %s, %v", f.Body, err)
		}
	})
}

// TestForwardedStructOwnsValue wants a struct that owns the keys of a wrapper
// forwarded and kept as history as it is (wire facts section 1 row 9).
func TestForwardedStructOwnsValue(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		raw, err := os.ReadFile("../tsl/testdata/lamp.json")
		if err != nil {
			t.Fatal(err)
		}
		m, err := tsl.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) { pr.Model = m }); err != nil {
			t.Fatal(err)
		}
		c := p.connect(p.register("lamp-1"))
		c.post("thing/event/property/post", `{"id":"1","params":{"Dimming":{"value":50,"time":700}}}`)
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			list, err := p.hub.Forward(t.Context(), m)
			if err != nil || len(list) != 1 || !strings.Contains(string(list[0].Body), `"Dimming":{"value":{"value":50,"time":700},"time":946684800000}`) {
				t.Errorf("%s, %v", list[0].Body, err)
			}
		}
		if got := p.samples(hub.HistoryQuery{Device: c.id}); got != `Dimming={"value":50,"time":700}@946684800000` {
			t.Errorf("history %q", got)
		}
		if got := p.kept(c.id); got != `Dimming={"value":50,"time":700}@946684800000` {
			t.Errorf("kept %q", got)
		}
	})
}
