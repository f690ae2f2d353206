// SPDX-License-Identifier: Apache-2.0

package management_test

import (
	"net/http"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/management"
)

const levelModel = `{"properties":[{"identifier":"Level","accessMode":"rw","dataType":{"type":"int","specs":{"min":"0","max":"MAX"}}}],"events":[],"services":[]}`

func levelTo(most string) string { return strings.Replace(levelModel, "MAX", most, 1) }

// modelOperations calls everything about thing models.
func modelOperations(t *testing.T, s *server) {
	t.Helper()
	const product, device = "/api/v1/products/a1Http0001", "/api/v1/devices/a1Http0001/model-1"
	want := func(status int, method, path, body string, out any) {
		t.Helper()
		if code := s.do(method, path, body, out); code != status {
			t.Errorf("%s %s: status %d, want %d", method, path, code, status)
		}
	}
	want(404, "GET", product+"/model", "", nil)
	var evolved struct {
		Effect  string
		Changes []struct{ Member string }
		Applied bool
	}
	for _, tt := range []struct {
		query, most, effect string
		applied             bool
	}{
		{"", "100", "update device", true},
		{"", "100.0", "compatible", true},
		{"?dry=true", "50", "breaking", false},
		{"?accept=compatible", "200", "update device", false},
		{"?accept=update%20device", "50", "breaking", false},
		{"?accept=update%20device", "200", "update device", true},
	} {
		want(200, "PUT", product+"/model"+tt.query, levelTo(tt.most), &evolved)
		if evolved.Effect != tt.effect || evolved.Applied != tt.applied {
			t.Errorf("%s %s: %+v", tt.query, tt.most, evolved)
		}
	}
	want(400, "PUT", product+"/model?accept=all", levelTo("1"), nil)
	want(400, "PUT", product+"/model", `{`, nil)
	var e management.Error
	want(400, "PUT", product+"/model", levelTo("much"), &e)
	if e.Code != "InvalidModel" || !strings.Contains(e.Message, "/properties/0/dataType/specs/max") {
		t.Errorf("%+v", e)
	}
	var model struct{ Properties []struct{ Identifier string } }
	want(200, "GET", product+"/model", "", &model)
	if len(model.Properties) != 1 {
		t.Errorf("%+v", model)
	}
	want(200, "PATCH", product, `{"validation":"reject"}`, nil)
	want(400, "PATCH", product, `{"validation":"loud"}`, nil)
	want(400, "PATCH", product, `{"dataFormat":"raw","script":"no engine here"}`, nil)

	d := s.connect("model-1")
	post := func(payload string) {
		done := make(chan error, 1)
		d.session.Receive(t.Context(), iot.Message{Topic: "/sys/a1Http0001/model-1/thing/event/property/post", Payload: []byte(payload)},
			func(_ []iot.Message, err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	post(`{"id":"1","params":{"Level":{"value":5,"time":1000}}}`)
	post(`{"id":"2","params":{"Level":{"value":7,"time":2000}}}`)
	var history struct {
		Items     []struct{ Value, Output any }
		Cursor    string
		Intervals []struct{ Avg float64 }
	}
	want(200, "GET", device+"/history?limit=1", "", &history)
	if len(history.Items) != 1 || history.Items[0].Value != 5.0 || history.Cursor == "" {
		t.Errorf("%+v", history)
	}
	want(200, "GET", device+"/history?identifiers=Level&cursor="+history.Cursor, "", &history)
	if len(history.Items) != 1 || history.Items[0].Value != 7.0 {
		t.Errorf("%+v", history)
	}
	want(200, "GET", device+"/history?interval=1m&from=0", "", &history)
	if len(history.Intervals) != 1 || history.Intervals[0].Avg != 6 {
		t.Errorf("%+v", history)
	}
	want(400, "GET", device+"/history?kind=gossip", "", nil)
	want(400, "GET", device+"/history?interval=often", "", nil)

	var live map[string]any
	want(200, "GET", device+"/properties?identifiers=Level&live=true", "", &live)
	if live["done"] == nil {
		t.Errorf("the device was not asked: %v", live)
	}
	var desired map[string]struct {
		Value   any
		Version int
	}
	want(200, "PATCH", device+"/desired", `{"desired":{"Level":9}}`, &desired)
	if desired["Level"].Version != 1 {
		t.Errorf("%+v", desired)
	}
	want(412, "PATCH", device+"/desired", `{"desired":{"Level":9},"versions":{"Level":7}}`, nil)
	want(400, "PATCH", device+"/desired", `{"desired":{"Level":900}}`, nil)
	want(400, "PATCH", device+"/desired", `{}`, nil)
	want(200, "DELETE", device+"/desired?identifiers=Level", "", nil)
	want(200, "GET", device+"/desired", "", &desired)
	var job struct{ TaskID, Status string }
	want(200, "POST", device+"/jobs", `{"jobDocument":{"do":"blink"}}`, &job)
	want(200, "DELETE", device+"/jobs/"+job.TaskID, "", &job)
	if job.Status != "CANCELLED" {
		t.Errorf("%+v", job)
	}
	want(400, "DELETE", device+"/jobs/"+job.TaskID, "", nil)
	want(200, "GET", device+"/jobs", "", nil)
	want(200, "POST", device+"/log", `{"upload":true}`, nil)
	want(http.StatusOK, "DELETE", product+"/model", "", nil)
	want(200, "PATCH", product, `{"validation":"strict"}`, nil)
	if p, err := s.hub.Product(t.Context(), "a1Http0001"); err != nil || p.Model != nil || p.Validation != hub.Strict {
		t.Errorf("%+v, %v", p, err)
	}
}
