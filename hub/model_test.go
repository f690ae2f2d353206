// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/tsl"
)

const lampModel = `{"profile":{"productKey":"a1TestPk0001"},
"properties":[
 {"identifier":"Power","accessMode":"rw","dataType":{"type":"bool","specs":{"0":"off","1":"on"}}},
 {"identifier":"Level","accessMode":"rw","dataType":{"type":"int","specs":{"min":"0","max":"100"}}}],
"events":[{"identifier":"Alarm","type":"alert","outputData":[{"identifier":"Code","dataType":{"type":"int"}}]}],"services":[]}`

func (p *platform) model(v hub.Validation) {
	p.t.Helper()
	m, err := tsl.Parse([]byte(lampModel))
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.hub.UpdateProduct(p.t.Context(), p.product.Key, func(pr *hub.Product) { pr.Model, pr.Validation = m, v }); err != nil {
		p.t.Fatal(err)
	}
}

func TestPostsAreJudged(t *testing.T) {
	const mixed = `{"id":"1","params":{"Power":1,"Level":{"value":500,"time":1},"Smell":3}}`
	for _, tt := range []struct {
		mode hub.Validation
		code int
		kept string
		data string
	}{
		{hub.Strict, 200, "Power=1", `{}`},
		{"", 200, "Power=1", `{}`},
		{hub.Reject, 460, "", `{"/Level":"500 is above 100","/Smell":"the model has no such property"}`},
		{hub.Off, 200, "Level=500 Power=1 Smell=3", `{}`},
	} {
		t.Run(string(tt.mode), func(t *testing.T) {
			bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
				p.model(tt.mode)
				c := p.connect(p.register("lamp-1"))
				r := c.post("thing/event/property/post", mixed)
				if r.Code != tt.code || string(r.Data) != tt.data {
					t.Errorf("reply %s", r.raw)
				}
				all, err := p.hub.Properties(t.Context(), c.id)
				if err != nil {
					t.Fatal(err)
				}
				var kept []string
				for _, name := range []string{"Level", "Power", "Smell"} {
					if v, ok := all[name]; ok {
						kept = append(kept, name+"="+string(v.Value))
					}
				}
				if got := strings.Join(kept, " "); got != tt.kept {
					t.Errorf("kept %q, want %q", got, tt.kept)
				}
				if tt.mode == hub.Strict || tt.mode == hub.Reject {
					if e := p.expectLog(hub.OpHandle, hub.CauseModel); !strings.Contains(e.Detail, "/Level: 500 is above 100 (range); /Smell:") {
						t.Errorf("log says %q", e.Detail)
					}
				}
			})
		})
	}
}

func TestEventsAreJudged(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		c := p.connect(p.register("lamp-1"))
		for payload, code := range map[string]int{
			`{"id":"1","params":{"Code":7}}`:                    200,
			`{"id":"2","params":{"value":{"Code":7},"time":1}}`: 200,
			`{"id":"3","params":{"Code":"seven"}}`:              460,
		} {
			if r := c.post("thing/event/Alarm/post", payload); r.Code != code {
				t.Errorf("%s: %s", payload, r.raw)
			}
		}
		if e := p.expectLog(hub.OpHandle, hub.CauseModel); e.Code != 460 || e.Detail != "/Code: a number is expected (type)" {
			t.Errorf("log says %+v", e)
		}
		if r := c.post("thing/event/Other/post", `{"id":"4","params":{}}`); r.Code != 460 {
			t.Errorf("unknown event: %s", r.raw)
		}
	})
}

func TestTooManyProperties(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		many := func(n, from int) string {
			var list []string
			for i := range n {
				list = append(list, fmt.Sprintf(`"p%d":1`, from+i))
			}
			return `{"id":"1","params":{` + strings.Join(list, ",") + `}}`
		}
		if r := c.post("thing/event/property/post", many(201, 0)); r.Code != 6106 {
			t.Errorf("201 properties: %s", r.raw)
		}
		for i := range 5 {
			if r := c.post("thing/event/property/post", many(200, 200*i)); r.Code != 200 {
				t.Errorf("200 properties: %s", r.raw)
			}
		}
		// Without a model a device could make the hub keep ever more names.
		if r := c.post("thing/event/property/post", many(1, 1000)); r.Code != 6106 {
			t.Errorf("the 1001st name: %s", r.raw)
		}
		if r := c.post("thing/event/property/post", many(200, 0)); r.Code != 200 {
			t.Errorf("known names: %s", r.raw)
		}
		if all, err := p.hub.Properties(t.Context(), c.id); err != nil || len(all) != 1000 {
			t.Errorf("%d values, %v", len(all), err)
		}
	})
}

func TestTemplate(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		if r := c.post("thing/dsltemplate/get", `{"id":"1","params":{}}`); r.Code != 6313 {
			t.Errorf("without a model: %s", r.raw)
		}
		p.model(hub.Strict)
		r := c.post("thing/dsltemplate/get", `{"id":"2","params":"{}"}`)
		if m, err := tsl.Parse(r.Data); err != nil || len(m.Properties) != 2 {
			t.Errorf("%s: %v", r.raw, err)
		}
	})
}

// TestModelEvolvesUnderDevices replaces the model of a product whose device is
// connected: the connection stays, the next post is judged by the new one.
func TestModelEvolvesUnderDevices(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Reject)
		c := p.connect(p.register("lamp-1"))
		post := func(want int) {
			t.Helper()
			if r := c.post("thing/event/property/post", `{"id":"1","params":{"Level":150}}`); r.Code != want {
				t.Errorf("reply %s, want %d", r.raw, want)
			}
		}
		post(460)
		wider, err := tsl.Parse([]byte(strings.Replace(lampModel, `"max":"100"`, `"max":"200"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) {
			if e := tsl.Evolve(pr.Model, wider).Effect(); e != tsl.UpdateDevice {
				t.Errorf("effect %v", e)
			}
			pr.Model = wider
		}); err != nil {
			t.Fatal(err)
		}
		post(200)
		if p.hub.Connected() != 1 || len(c.take()) != 0 {
			t.Error("the device was bothered")
		}
	})
}

// TestFunctionBlocks has members of a block posted, set and called by their names
// on the wire.
func TestFunctionBlocks(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		m, err := tsl.ParseAll([]byte(`[` + lampModel + `,{"functionBlockId":"Pump",
			"properties":[{"identifier":"Speed","accessMode":"rw","dataType":{"type":"int","specs":{"max":"3000"}}}],
			"events":[{"identifier":"Blocked","type":"error","outputData":[]}],
			"services":[{"identifier":"Prime","callType":"async","inputData":[],"outputData":[]}]}]`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) { pr.Model, pr.Validation = m, hub.Reject }); err != nil {
			t.Fatal(err)
		}
		c := p.connect(p.register("lamp-1"))
		for _, tt := range []struct {
			path, params string
			code         int
		}{
			{"property", `{"Power":1,"Pump:Speed":{"value":200,"time":5}}`, 200},
			{"property", `{"Pump:Speed":9000}`, 460},
			{"property", `{"Speed":200}`, 460},
			{"Pump:Blocked", `{}`, 200},
			{"Blocked", `{}`, 460},
		} {
			if r := c.post("thing/event/"+tt.path+"/post", `{"id":"1","params":`+tt.params+`}`); r.Code != tt.code {
				t.Errorf("%s %s: %s", tt.path, tt.params, r.raw)
			}
		}
		if got := p.samples(hub.HistoryQuery{Device: c.id, Kind: hub.EventHistory}); !strings.HasPrefix(got, "Pump:Blocked={}") {
			t.Errorf("events %q", got)
		}
		if _, err := p.hub.InvokeService(t.Context(), c.id, "Pump:Prime", struct{}{}, hub.CallOptions{Queue: true}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := c.take(); len(got) != 1 || got[0].Message.Topic != c.sys("thing/service/Pump:Prime") {
			t.Errorf("sent %v", got)
		}
	})
}

func TestBadModelIsRefused(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		bad := &tsl.Model{Properties: []tsl.Property{{Identifier: "a-b", Access: "r", Data: tsl.DataType{Type: tsl.Int}}}}
		_, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: "b1", Model: bad})
		if _, ok := errors.AsType[*tsl.ModelError](err); !ok || !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("bad model: %v", err)
		}
		if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: "b1", Validation: "loud"}); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("bad validation: %v", err)
		}
	})
}
