// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/tsl"
)

func TestJobs(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		c := p.connect(d)
		ctx := t.Context()
		job, err := p.hub.CreateJob(ctx, d.ID, json.RawMessage(`{"do":"blink"}`), &hub.JobFile{URL: "https://example.com/f", Sign: "00", SignMethod: "Md5"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := c.take()
		if len(got) != 1 || got[0].Message.Topic != c.sys("thing/job/notify") || !strings.Contains(string(got[0].Message.Payload), `"jobDocument":{"do":"blink"}`) {
			t.Fatalf("notified %v", got)
		}
		for _, tt := range []struct{ path, params, data string }{
			{"get", `{"taskId":"$list"}`, `{"tasks":[{"status":"QUEUED","taskId":"` + job.ID + `"}]}`},
			{"get", `{"taskId":"$next"}`, `{"taskId":"` + job.ID + `","task":{"taskId":"` + job.ID + `","status":"QUEUED","jobDocument":{"do":"blink"},"jobFile":{"fileUrl":"https://example.com/f","sign":"00","signMethod":"Md5"}}}`},
			{"update", `{"taskId":"` + job.ID + `","status":"IN_PROGRESS","progress":50,"statusDetails":{"step":2}}`, `{"taskId":"` + job.ID + `","code":200,"message":"success"}`},
			{"update", `{"taskId":"` + job.ID + `","status":"SUCCEEDED","progress":100}`, `{"taskId":"` + job.ID + `","code":200,"message":"success"}`},
			{"get", `{"taskId":"$next"}`, `{}`},
		} {
			r := c.post("thing/job/"+tt.path, `{"id":"14","version":"1.0.0","params":`+tt.params+`}`)
			if r.Code != 200 || string(r.Data) != tt.data {
				t.Errorf("%s %s: %s", tt.path, tt.params, r.raw)
			}
		}
		for _, params := range []string{
			`{"taskId":"` + job.ID + `","status":"FAILED"}`, `{"taskId":"7","status":"FAILED"}`, `{"taskId":"7","status":"BORED"}`, `{"taskId":"7","status":"FAILED","progress":101}`,
		} {
			if r := c.post("thing/job/update", `{"id":"14","params":`+params+`}`); r.Code != 460 {
				t.Errorf("%s: %s", params, r.raw)
			}
		}
		jobs, err := p.hub.Jobs(ctx, d.ID)
		if err != nil || len(jobs) != 1 || jobs[0].Status != hub.JobSucceeded || jobs[0].Progress != 100 {
			t.Errorf("jobs %+v, %v", jobs, err)
		}
		if _, err := p.hub.CreateJob(ctx, d.ID, json.RawMessage(`[]`), nil); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("a document that is no object: %v", err)
		}
		if _, err := p.hub.CreateJob(ctx, d.ID, json.RawMessage(`{"a":"`+strings.Repeat("x", 16<<10)+`"}`), nil); !errors.Is(err, hub.ErrTooLarge) {
			t.Errorf("a long document: %v", err)
		}
		if r := c.post("thing/job/update", `{"id":"14","params":{"taskId":"7","status":"FAILED","statusDetails":{"a":"`+strings.Repeat("x", 4<<10)+`"}}}`); r.Code != 460 {
			t.Errorf("long details: %s", r.raw)
		}
		if job, err = p.hub.CreateJob(ctx, d.ID, nil, nil); err != nil {
			t.Fatal(err)
		}
		if job, err = p.hub.CancelJob(ctx, d.ID, job.ID); err != nil || job.Status != hub.JobCancelled {
			t.Errorf("cancelled %+v, %v", job, err)
		}
		synctest.Wait()
		if got := c.take(); len(got) != 2 || !strings.Contains(string(got[1].Message.Payload), `"status":"CANCELLED"`) {
			t.Errorf("told %v", got)
		}
		if _, err := p.hub.CancelJob(ctx, d.ID, job.ID); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("cancelled twice: %v", err)
		}
		c.goodbye()
		for range 100 {
			if _, err := p.hub.CreateJob(ctx, d.ID, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.hub.CreateJob(ctx, d.ID, nil, nil); !errors.Is(err, hub.ErrTooMany) {
			t.Errorf("the 101st open job: %v", err)
		}
	})
}

func TestDeviceServices(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		c := p.connect(p.register("lamp-1"))
		for path, params := range map[string]string{
			"thing/reset":                `{}`,
			"_thing/diag/post":           `{"p":{"wifi":{"rssi":-40}},"model":"format=simple"}`,
			"thing/log/post":             `[{"utcTime":"2026/11/22 13:48:17","logLevel":"INFO","module":"m","code":"200","traceContext":"0","logContent":"hello"}]`,
			"thing/awss/enrollee/match":  `{"token":"x"}`,
			"thing/awss/enrollee/found":  `{}`,
			"thing/deviceinfo/get":       `[]`,
			"thing/property/desired/get": `[]`,
		} {
			if r := c.post(path, `{"id":2, "version":"1.0", "params":`+params+`}`); r.Code != 200 || r.ID != "2" {
				t.Errorf("%s: %s", path, r.raw)
			}
		}
		want := func(mode int) {
			t.Helper()
			if r := c.post("thing/config/log/get", `{"id":"1","params":{"getType":"content","configScope":"device"}}`); string(r.Data) != fmt.Sprintf(`{"getType":"content","content":{"mode":%d}}`, mode) {
				t.Errorf("log configuration %s", r.raw)
			}
		}
		want(0)
		if err := p.hub.SetLogUpload(t.Context(), c.id, true); err != nil {
			t.Fatal(err)
		}
		want(1)
		synctest.Wait()
		got := c.take()
		if len(got) != 1 || got[0].Message.Topic != c.sys("thing/config/log/push") || !strings.Contains(string(got[0].Message.Payload), `"params":{"getType":"content","content":{"mode":1}}`) {
			t.Errorf("pushed %v", got)
		}
		notified := make(chan error, 1)
		go func() { notified <- p.hub.NotifyBootstrap(t.Context(), c.id) }()
		synctest.Wait()
		got = c.take()
		if len(got) != 1 || got[0].Message.Topic != c.sys("thing/bootstrap/notify") {
			t.Fatalf("sent %v", got)
		}
		var m struct{ ID string }
		if err := json.Unmarshal(got[0].Message.Payload, &m); err != nil {
			t.Fatal(err)
		}
		if _, err := c.publish(c.sys("thing/bootstrap/notify_reply"), `{"id":"`+m.ID+`","code":200,"data":{}}`, 1); err != nil {
			t.Fatal(err)
		}
		if err := <-notified; err != nil {
			t.Error(err)
		}
	})
}

func TestDynamicTemplate(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		if r := c.post("thing/dynamicTsl/get", `{"id":"1","params":{}}`); r.Code != 6313 {
			t.Errorf("without a model: %s", r.raw)
		}
		p.model(hub.Strict)
		r := c.post("thing/dynamicTsl/get", `{"id":"1","params":{"nodes":["type","identifier"],"addDefault":false}}`)
		if string(r.Data) != `[{"identifier":"Power","type":"bool"},{"identifier":"Level","type":"int"},{"identifier":"Alarm","type":"alert"}]` {
			t.Errorf("trimmed: %s", r.raw)
		}
		if r := c.post("thing/dynamicTsl/get", `{"id":"1","params":{"nodes":["specs"]}}`); string(r.Data) != `[{"specs":{"0":"off","1":"on"}},{"specs":{"min":"0","max":"100"}},{}]` {
			t.Errorf("specs: %s", r.raw)
		}
	})
}

func TestCallsAreJudged(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		d := p.register("lamp-1")
		for _, items := range []any{map[string]int{"Level": 101}, map[string]int{"Smell": 1}, []int{}} {
			if _, err := p.hub.SetProperties(t.Context(), d.ID, items, hub.CallOptions{Queue: true}); !errors.Is(err, hub.ErrInvalid) {
				t.Errorf("%v: %v", items, err)
			}
		}
		if _, err := p.hub.InvokeService(t.Context(), d.ID, "Dance", nil, hub.CallOptions{Queue: true}); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("unknown service: %v", err)
		}
		if _, err := p.hub.SetProperties(t.Context(), d.ID, map[string]int{"Level": 100}, hub.CallOptions{Queue: true}); err != nil {
			t.Error(err)
		}
	})
}

func TestOutputsAreJudged(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		m, err := tsl.Parse([]byte(`{"services":[{"identifier":"Blink","callType":"sync","outputData":[{"identifier":"Times","dataType":{"type":"int"}}]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) { pr.Model = m }); err != nil {
			t.Fatal(err)
		}
		d := p.register("lamp-1")
		c := p.connect(d)
		answered := make(chan string, 1)
		go func() {
			a, err := p.hub.InvokeService(t.Context(), d.ID, "Blink", struct{}{}, hub.CallOptions{})
			answered <- fmt.Sprint(string(a.Data), err)
		}()
		synctest.Wait()
		c.answerOne(t, `{"Times":"three"}`)
		if got := <-answered; got != `{"Times":"three"}<nil>` {
			t.Errorf("answer %s", got)
		}
		if e := p.expectLog(hub.OpReply, hub.CauseModel); e.Detail != "output /Times: a number is expected (type)" {
			t.Errorf("log says %q", e.Detail)
		}
	})
}
