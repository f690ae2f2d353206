// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
)

// kept renders the latest values of a device.
func (p *platform) kept(id iot.DeviceID) string {
	p.t.Helper()
	all, err := p.hub.Properties(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	var list []string
	for name, v := range all {
		list = append(list, fmt.Sprintf("%s=%s@%d", name, v.Value, v.Time.UnixMilli()))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestBatchHistoryAndPack(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		c := p.connect(p.register("lamp-1"))
		me := `{"productKey":"a1TestPk0001","deviceName":"lamp-1"}`
		for _, tt := range []struct {
			path, params string
			code         int
			kept         string
		}{
			{"batch", `{"properties":{"Level":[{"value":5,"time":100},{"value":6,"time":200},{"value":500,"time":300}]},"events":{"Alarm":[{"value":{"Code":1},"time":5}]}}`, 200, "Level=6@200"},
			{"history", `[{"identity":` + me + `,"properties":[{"Level":{"value":1,"time":50},"Power":{"value":1,"time":60}},{"Level":{"value":7,"time":210}}],"events":[{"Alarm":{"value":{"Code":"x"},"time":7}}]}]`, 200, "Level=7@210 Power=1@60"},
			{"pack", `{"properties":{"Power":{"value":0,"time":70}},"events":{"Alarm":{"value":{"Code":9},"time":8}},"subDevices":[]}`, 200, "Level=7@210 Power=0@70"},
			{"pack", `{"properties":{},"subDevices":[{"identity":{"productKey":"a1TestPk0001","deviceName":"lamp-2"},"properties":{"Power":{"value":0,"time":70}}}]}`, 6401, ""},
			{"pack", `{"subDevices":[{}]}`, 460, ""},
			{"pack", `{"subDevices":[` + strings.TrimSuffix(strings.Repeat(`{"identity":`+me+`},`, 21), ",") + `]}`, 6357, ""},
			{"batch", `{"events":{"Alarm":[` + strings.TrimSuffix(strings.Repeat(`{"value":{},"time":1},`, 21), ",") + `]}}`, 6356, ""},
			{"batch", `{"properties":{"Level":[` + strings.TrimSuffix(strings.Repeat(`{"value":1,"time":1},`, 201), ",") + `]}}`, 6106, ""},
			{"batch", `{"properties":7}`, 460, ""},
			{"history", `7`, 460, ""},
		} {
			r := c.post("thing/event/property/"+tt.path+"/post", `{"id":"1","params":`+tt.params+`}`)
			if r.Code != tt.code {
				t.Errorf("%s %.80s: %s", tt.path, tt.params, r.raw)
			}
			if got := p.kept(c.id); tt.kept != "" && got != tt.kept {
				t.Errorf("%s: kept %q, want %q", tt.path, got, tt.kept)
			}
		}
		dropped := 0
		for _, e := range p.logged(hub.LogQuery{}) {
			if e.Cause == hub.CauseModel {
				dropped++
			}
		}
		if dropped != 2 {
			t.Errorf("%d entries of dropped members, want one a message: 2", dropped)
		}
		var bodies []string
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: c.id}) {
			if err != nil {
				t.Fatal(err)
			}
			list, err := p.hub.Forward(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list {
				var body struct{ Items, Value json.RawMessage }
				if err := json.Unmarshal(f.Body, &body); err != nil {
					t.Fatal(err)
				}
				bodies = append(bodies, strings.TrimPrefix(f.Topic, "/a1TestPk0001/lamp-1/thing/")+" "+string(body.Items)+string(body.Value))
			}
		}
		want := []string{
			`property/batch/post {"Level":[{"value":5,"time":100},{"value":6,"time":200}]}`,
			`event/batch/post {"Alarm":[{"value":{"Code":1},"time":5}]}`,
			`event/property/history/post {"Level":{"value":1,"time":50}}`,
			`event/property/history/post {"Power":{"value":1,"time":60}}`,
			`event/property/history/post {"Level":{"value":7,"time":210}}`,
			`event/property/post {"Power":{"value":0,"time":70}}`,
			`event/Alarm/post {"Code":9}`,
		}
		if !slices.Equal(bodies, want) {
			t.Errorf("forwarded\n%s\nwant\n%s", strings.Join(bodies, "\n"), strings.Join(want, "\n"))
		}
	})
}

// TestPackOfAGateway wants values of sub-devices kept with them, as far as they are
// logged in through the gateway.
func TestPackOfAGateway(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 3}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		gw := p.connect(p.newGateway("gw-1"))
		a, b := p.register("sub-1"), p.register("sub-2")
		gw.join(a)
		entry := func(id iot.DeviceID) string {
			return fmt.Sprintf(`{"identity":{"productKey":%q,"deviceName":%q},"properties":{"Level":{"value":5,"time":7}},"events":{"Alarm":{"value":{"Code":1},"time":8}}}`, id.Product, id.Name)
		}
		if r := gw.post("thing/event/property/pack/post", `{"id":"1","params":{"properties":{"Load":{"value":1,"time":5}},"subDevices":[`+entry(a.ID)+`]}}`); r.Code != 200 {
			t.Fatalf("pack: %s", r.raw)
		}
		if got := p.kept(a.ID) + " " + p.kept(gw.id); got != "Level=5@7 Load=1@5" {
			t.Errorf("kept %q", got)
		}
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: a.ID}) {
			if err != nil || m.Via != gw.id || m.Topic != "/sys/"+a.ID.String()+"/thing/event/property/pack/post" {
				t.Errorf("logged %+v, %v", m, err)
			}
		}
		if r := gw.post("thing/event/property/history/post", `{"id":"1","params":[`+strings.NewReplacer(`"properties":{"L`, `"properties":[{"L`, `}},"events":{"A`, `}}],"events":[{"A`).Replace(strings.TrimSuffix(entry(a.ID), "}"))+`]}]}`); r.Code != 200 {
			t.Errorf("history: %s", r.raw)
		}
		if r := gw.post("thing/event/property/pack/post", `{"id":"1","params":{"subDevices":[`+entry(a.ID)+`,`+entry(b.ID)+`]}}`); r.Code != 6401 {
			t.Errorf("pack with a sub-device that is not logged in: %s", r.raw)
		}
	})
}

// TestDroppedMembersAreNotForwarded wants the message log to hold what was kept.
func TestDroppedMembersAreNotForwarded(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		c := p.connect(p.register("lamp-1"))
		c.post("thing/event/property/post", `{"id":"1","params":{"Smell":1,"Level":{"value":5,"time":9},"Level":7}}`)
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(m.Payload), `{"id":"1","version":"1.0","method":"thing.event.property.post","params":{"Level":{"value":5,"time":9}}}`; got != want {
				t.Errorf("logged %s", got)
			}
		}
		if e := p.expectLog(hub.OpHandle, hub.CauseModel); !strings.Contains(e.Detail, "/Level: the property is there already (duplicate)") {
			t.Errorf("log says %q", e.Detail)
		}
	})
}

// TestRow4ReplyTopics is row 4 of wire facts section 1: a JSON post is answered on
// post_reply, only up_raw on up_raw_reply.
func TestRow4ReplyTopics(t *testing.T) {
	bubble(t, hub.Config{Scripts: upperCase{}}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		answers, err := c.publish(c.sys("thing/event/property/post"), `{"id":"1","params":{"Power":1}}`, 1)
		if err != nil || len(answers) != 1 || answers[0].Topic != c.sys("thing/event/property/post_reply") {
			t.Errorf("answers %v, %v", answers, err)
		}
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) { pr.DataFormat, pr.Script = hub.Raw, "x" }); err != nil {
			t.Fatal(err)
		}
		c = p.connect(p.register("lamp-2"))
		answers, err = c.publish(c.sys("thing/model/up_raw"), "thing.event.property.post:power", 1)
		if err != nil || len(answers) != 1 || answers[0].Topic != c.sys("thing/model/up_raw_reply") {
			t.Errorf("answers %v, %v", answers, err)
		}
	})
}

// TestRow8EventsBareOrWrapped is row 8 of wire facts section 1.
func TestRow8EventsBareOrWrapped(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		for _, params := range []string{`{"Code":7}`, `{"value":{"Code":7},"time":1524448722000}`, `{"value":{"Code":7}}`} {
			if r := c.post("thing/event/Alarm/post", `{"id":"1","params":`+params+`}`); r.Code != 200 {
				t.Errorf("%s: %s", params, r.raw)
			}
		}
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			list, err := p.hub.Forward(t.Context(), m)
			if err != nil || len(list) != 1 || !strings.Contains(string(list[0].Body), `"value":{"Code":7}`) {
				t.Errorf("%s: %v, %v", m.Payload, list, err)
			}
		}
	})
}

// TestRow45OfTheModel is row 45 of wire facts section 1: params may be the text
// "{}".
func TestRow45OfTheModel(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		c := p.connect(p.register("lamp-1"))
		if _, err := p.hub.SetDesired(t.Context(), c.id, map[string]int{"Level": 1}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, path := range []string{
			"thing/dsltemplate/get", "thing/dynamicTsl/get", "thing/property/desired/get", "thing/property/desired/delete",
			"thing/event/property/post", "thing/event/Alarm/post", "thing/config/log/get", "thing/event/property/batch/post",
		} {
			if r := c.post(path, `{"id":"1","params":"{}"}`); r.Code != 200 {
				t.Errorf("%s: %s", path, r.raw)
			}
		}
		if r := c.post("thing/property/desired/get", `{"id":"1","params":"{}"}`); string(r.Data) != `{"Level":{"value":1,"version":1}}` {
			t.Errorf("all desired: %s", r.raw)
		}
	})
}
