// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
)

func TestPropertyPostIsKept(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		r := c.post("thing/event/property/post", `{"id":"7","version":"1.0","params":{"Power":1,"Level":{"value":3.5,"time":1524448722000}},"method":"thing.event.property.post"}`)
		if r.ID != "7" || r.Code != 200 || r.Message != "success" {
			t.Errorf("reply %s", r.raw)
		}
		got, err := p.hub.Properties(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"Power": "1", "Level": "3.5"}
		for name, v := range want {
			if string(got[name].Value) != v {
				t.Errorf("%s is %s, want %s", name, got[name].Value, v)
			}
		}
		if ms := got["Level"].Time.UnixMilli(); ms != 1524448722000 {
			t.Errorf("time of Level %d, want the device's", ms)
		}
		var kept []hub.Message
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: c.id}) {
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, m)
		}
		if len(kept) != 1 || kept[0].Topic != c.sys("thing/event/property/post") || kept[0].ID <= 0 {
			t.Errorf("message log %+v", kept)
		}
	})
}

func TestValuesOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, hub.Config{})
		c := p.connect(p.register("lamp-1"))
		c.post("thing/event/property/post", `{"id":"1","params":{"a":1,"b":"two"}}`)
		c.post("thing/event/property/post", `{"id":"2","params":{"b":"three"}}`)
		if err := p.hub.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := hub.Open(t.Context(), hub.Config{Store: p.store})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		got, err := again.Properties(t.Context(), c.id)
		if err != nil || string(got["a"].Value) != "1" || string(got["b"].Value) != `"three"` {
			t.Errorf("properties %v (%v)", got, err)
		}
	})
}

func TestRejectedUplinks(t *testing.T) {
	big := strings.Repeat("x", 256<<10+1)
	tests := []struct {
		name, topic, payload string
		op                   hub.Operation
		cause                hub.LogCause
	}{
		{"foreign device", "/sys/a1TestPk0001/other/thing/event/property/post", `{"id":"1","params":{}}`, hub.OpPublish, hub.CauseNoAuthorization},
		{"foreign product", "/sys/a1Other/lamp-1/thing/event/property/post", `{"id":"1","params":{}}`, hub.OpPublish, hub.CauseNoAuthorization},
		{"broadcast", "/broadcast/a1TestPk0001/all", `x`, hub.OpPublish, hub.CauseNoAuthorization},
		{"custom topic without class", "/a1TestPk0001/lamp-1/user/none", `x`, hub.OpPublish, hub.CauseNoAuthorization},
		{"custom topic to subscribe only", "/a1TestPk0001/lamp-1/user/get", `x`, hub.OpPublish, hub.CauseNoAuthorization},
		{"no JSON", "/sys/a1TestPk0001/lamp-1/thing/event/property/post", `{"id":`, hub.OpCheckPayload, hub.CauseNotJSON},
		{"duplicate keys", "/sys/a1TestPk0001/lamp-1/thing/event/property/post", `{"id":"1","id":"2","params":{}}`, hub.OpCheckPayload, hub.CauseNotJSON},
		{"deep nesting", "/sys/a1TestPk0001/lamp-1/thing/event/property/post", `{"params":` + strings.Repeat("[", 100<<10), hub.OpCheckPayload, hub.CauseNotJSON},
		{"too large", "/sys/a1TestPk0001/lamp-1/thing/event/property/post", big, hub.OpPublish, hub.CauseTooLarge},
		{"not served", "/ext/network/probe/5", `{"id":"1"}`, hub.OpPublish, hub.CauseUnknownMethod},
		{"dollar topic", "$SYS/x", `x`, hub.OpPublish, hub.CauseNoAuthorization},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
				c := p.connect(p.register("lamp-1"))
				answers, err := c.publish(tt.topic, tt.payload, 1)
				if !isRejected(err) || len(answers) != 0 {
					t.Errorf("answers %v, error %v; want a rejection", answers, err)
				}
				p.expectLog(tt.op, tt.cause)
				for m := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
					t.Errorf("kept %+v", m)
				}
				c.post("thing/event/property/post", `{"id":"1","params":{"alive":1}}`) // the connection lives
			})
		})
	}
}

func TestUnknownMethods(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		if err := p.hub.Mux().HandleFunc("app/#", func(_ context.Context, r *alink.Request) alink.Reply {
			return alink.OK([]byte(`{"path":"` + r.Topic.Path + `"}`))
		}); err != nil {
			t.Fatal(err)
		}
		c := p.connect(p.register("lamp-1"))
		if r := c.post("app/abc/cba", `{"id":"1","params":{}}`); r.Code != 200 || string(r.Data) != `{"path":"app/abc/cba"}` {
			t.Errorf("the embedder's handler: %s", r.raw)
		}
		if r := c.post("account/bind", `{"id":"2","params":{}}`); r.Code != int(hub.CodeUnknownMethod) || r.ID != "2" {
			t.Errorf("unknown method: %s", r.raw)
		}
		p.expectLog(hub.OpHandle, hub.CauseUnknownMethod)
	})
}

func TestHandlerPanicCostsOneConnection(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		_ = p.hub.Mux().HandleFunc("app/boom", func(context.Context, *alink.Request) alink.Reply { panic("boom") })
		a, b := p.connect(p.register("lamp-1")), p.connect(p.register("lamp-2"))
		if _, err := a.publish(a.sys("app/boom"), `{"id":"1"}`, 1); err == nil || isRejected(err) {
			t.Errorf("error %v, want one that closes the connection", err)
		}
		b.post("thing/event/property/post", `{"id":"1","params":{"x":1}}`)
	})
}

func TestHandlersMustNotWait(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		var err error
		_ = p.hub.Mux().HandleFunc("app/tags", func(ctx context.Context, r *alink.Request) alink.Reply {
			_, err = p.hub.SetTags(ctx, r.Device, map[string]string{"a": "b"})
			return alink.OK(nil)
		})
		c := p.connect(p.register("lamp-1"))
		c.post("app/tags", `{"id":"1"}`)
		if err == nil || !strings.Contains(err.Error(), "handler") {
			t.Errorf("SetTags inside a handler: %v, want an error that says so", err)
		}
	})
}

func TestTags(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		c.post("thing/deviceinfo/update", `{"id":"1","params":[{"attrKey":"room","attrValue":"k<1>"},{"attrKey":"SYS_SDK_LANGUAGE","attrValue":"C","domain":"SYSTEM"}]}`)
		d, err := p.hub.Device(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"room": "k<1>"}, d.Tags); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]string{"SYS_SDK_LANGUAGE": "C"}, d.System); diff != "" {
			t.Error(diff)
		}
		if r := c.post("thing/deviceinfo/get", `{"id":"2","params":"{}"}`); string(r.Data) != `[{"attrKey":"room","attrValue":"k<1>"}]` {
			t.Errorf("get: %s", r.raw)
		}
		c.post("thing/deviceinfo/delete", `{"id":"3","params":[{"attrKey":"room"}]}`)
		if d, _ = p.hub.Device(t.Context(), c.id); len(d.Tags) != 0 {
			t.Errorf("tags after delete: %v", d.Tags)
		}
		if r := c.post("thing/deviceinfo/update", `{"id":"4","params":[{"attrKey":"1bad","attrValue":"x"}]}`); r.Code != 460 {
			t.Errorf("bad key: %s", r.raw)
		}
		var many []string
		for i := range 101 {
			many = append(many, fmt.Sprintf(`{"attrKey":"t%d","attrValue":"x"}`, i))
		}
		if r := c.post("thing/deviceinfo/update", `{"id":"5","params":[`+strings.Join(many, ",")+`]}`); r.Code != 460 {
			t.Errorf("101 tags: %s", r.raw)
		}
	})
}

func TestNTP(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		name := "/ext/ntp/" + c.id.String() + "/request"
		for _, sent := range []string{`"1234"`, `1234`} {
			answers, err := c.publish(name, `{"deviceSendTime":`+sent+`}`, 0)
			if err != nil || len(answers) != 1 {
				t.Fatalf("answers %v, %v", answers, err)
			}
			ms := time.Now().UnixMilli()
			want := fmt.Sprintf(`{"deviceSendTime":"1234","serverRecvTime":"%d","serverSendTime":"%d"}`, ms, ms)
			if got := string(answers[0].Payload); got != want || answers[0].Topic != "/ext/ntp/"+c.id.String()+"/response" {
				t.Errorf("%s: %s, want %s", answers[0].Topic, got, want)
			}
		}
	})
}

func TestCustomTopicOfClassAllIsEchoed(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) {
			pr.Topics = append(pr.Topics, classAll("user/chat"))
		}); err != nil {
			t.Fatal(err)
		}
		c, err := p.login(p.register("lamp-1"), loginOptions{})
		if err != nil {
			t.Fatal(err)
		}
		name := "/" + c.id.String() + "/user/chat"
		if a, err := c.publish(name, "one", 0); err != nil || len(a) != 0 {
			t.Errorf("before subscribing: %v, %v", a, err)
		}
		if g := c.subscribe(name, c.sys("#")); g[0] != 1 || g[1] != 1 {
			t.Fatalf("grants %v", g)
		}
		if a, err := c.publish(name, "two", 0); err != nil || len(a) != 1 || string(a[0].Payload) != "two" {
			t.Errorf("QoS 0: %v, %v", a, err)
		}
		if _, err := c.publish(name, "three", 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := c.take(); len(got) != 1 || string(got[0].Message.Payload) != "three" || got[0].Message.QoS != iot.AtLeastOnce {
			t.Errorf("QoS 1: %+v", got)
		}
		// A system uplink is never echoed, subscribed or not.
		if a, _ := c.publish(c.sys("thing/event/property/post"), `{"id":"1","params":{}}`, 0); len(a) != 1 || !strings.HasSuffix(a[0].Topic, "_reply") {
			t.Errorf("system uplink: %v", a)
		}
	})
}

func TestRow3ImplicitSubscription(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		explicit, err := p.login(d, loginOptions{clean: true})
		if err != nil {
			t.Fatal(err)
		}
		post := explicit.sys("thing/event/property/post")
		if a, err := explicit.publish(post, `{"id":"1","params":{}}`, 0); err != nil || len(a) != 0 {
			t.Errorf("without _ss and without subscribing: %v, %v", a, err)
		}
		explicit.subscribe(post + "_reply")
		if a, _ := explicit.publish(post, `{"id":"1","params":{}}`, 0); len(a) != 1 {
			t.Errorf("after subscribing: %d answers", len(a))
		}
		implicit, err := p.login(d, loginOptions{clean: true, MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}})
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := implicit.publish(post, `{"id":"1","params":{}}`, 0); len(a) != 1 {
			t.Errorf("with _ss=1: %d answers", len(a))
		}
		implicit.session.(interface {
			Unsubscribe(context.Context, []string)
		}).Unsubscribe(t.Context(), []string{implicit.sys("thing/event/+/post_reply"), implicit.sys("thing/event/property/post_reply")})
		if a, _ := implicit.publish(post, `{"id":"1","params":{}}`, 0); len(a) != 0 {
			t.Errorf("after switching replies off: %d answers", len(a))
		}
	})
}

func TestRow6IDsAreOpaque(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		for in, want := range map[string]string{
			`"123"`: `"123"`, `2`: `"2"`, `""`: `""`,
			`"1|exp-topic|/sys/pk/dn/thing/event/property/post_reply"`: `"1|exp-topic|/sys/pk/dn/thing/event/property/post_reply"`,
			`"a\"b"`: `"a\"b"`,
		} {
			r := c.post("thing/event/property/post", `{"id":`+in+`,"params":{}}`)
			if !strings.HasPrefix(r.raw, `{"id":`+want+`,"code":200`) {
				t.Errorf("id %s answered %s", in, r.raw)
			}
		}
	})
}

func TestRow7DispatchOnTopicNotMethod(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		for _, method := range []string{``, `,"method":""`, `,"method":"thing.service.property.set"`} {
			if r := c.post("thing/event/property/post", `{"id":"1","params":{"a":1}`+method+`}`); r.Code != 200 {
				t.Errorf("method %q: %s", method, r.raw)
			}
		}
	})
}

func TestRow5AndRow44ReplyShapeAndOrder(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		r := c.post("thing/event/property/post", `{"id":"9","version":"1.0","params":{"a":1},"method":"thing.event.property.post"}`)
		want := `{"id":"9","code":200,"message":"success","version":"1.0","method":"thing.event.property.post","data":{}}`
		if r.raw != want {
			t.Errorf("reply\n%s, want\n%s", r.raw, want)
		}
	})
}

func TestRow45ParamsAsText(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		if r := c.post("thing/event/error/post", `{"id":"1","params":"{}"}`); r.Code != 200 {
			t.Errorf("reply %s", r.raw)
		}
	})
}

func TestNoReplyWhenNotWanted(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		a, err := c.publish(c.sys("thing/event/property/post"), `{"id":"1","params":{"a":1},"sys":{"ack":0}}`, 1)
		if err != nil || len(a) != 0 {
			t.Errorf("answers %v, %v", a, err)
		}
	})
}
