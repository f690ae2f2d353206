// SPDX-License-Identifier: Apache-2.0

package management_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/define"
	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/store/mem"
)

// forwarding gives a hub rules, scenes and groups.
func forwarding(t *testing.T, h *hub.Hub) (*define.Set, *scene.Set, *queue.Queues) {
	t.Helper()
	st := mem.New()
	runner, err := h.Rules(t.Context(), rules.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	set, err := define.Open(t.Context(), runner, st, define.Kinds(define.Surroundings{Publisher: h}))
	if err != nil {
		t.Fatal(err)
	}
	scenes, err := scene.Open(t.Context(), scene.Config{Runner: runner, Store: st, Platform: h.ForScenes()})
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.Open(t.Context(), queue.Config{Source: h.RuleSource(), Store: st})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = q.Close()
		_ = scenes.Close()
		_ = runner.Close()
		_ = set.Close()
		_ = st.Close()
	})
	return set, scenes, q
}

// forwardingOperations calls what concerns rules and groups.
func (s *server) forwardingOperations(ok func(method, path, body string, out any)) {
	const heat = "/api/v1/rules/heat"
	ok("PUT", heat, `{"sql":"SELECT * FROM \"/a1Http0001/+/user/update\" WHERE t > 38","mode":"at-least-once","actions":[{"type":"webhook","url":"http://127.0.0.1:1"}],"onError":{"type":"republish","topic":"/a1Http0001/one-1/user/get"}}`, nil)
	var list struct{ Items []struct{ ID string } }
	ok("GET", "/api/v1/rules", "", &list)
	var rule struct{ Stats *rules.Stats }
	ok("GET", heat, "", &rule)
	var why struct {
		Passed     bool
		Conditions []struct{ Result string }
	}
	ok("POST", heat+"/explain", `{"topic":"/a1Http0001/x/user/update","payload":{"t":20}}`, &why)
	if len(list.Items) != 1 || rule.Stats == nil || why.Passed || why.Conditions[0].Result != "false" {
		s.t.Errorf("%+v, %+v, %+v", list, rule, why)
	}
	ok("POST", heat+"/explain", `{"topic":"/a1Http0001/x/user/update","payloadBase64":"eyJ0Ijo0MH0="}`, &why)
	if !why.Passed {
		s.t.Errorf("%+v", why)
	}
	ok("GET", heat+"/dead-letters", "", nil)
	ok("POST", heat+"/replay", "", nil)
	ok("DELETE", heat, "", nil)

	ok("POST", "/api/v1/groups", `{"id":"billing","subscriptions":[{"productKey":"a1Http0001","kinds":["upstream","status"]}]}`, nil)
	ok("GET", "/api/v1/groups", "", nil)
	ok("GET", "/api/v1/groups/billing", "", nil)
	ok("GET", "/api/v1/groups/billing/dead-letters", "", nil)
	s.called["POST /api/v1/groups/{id}/stream"] = s.streams("/api/v1/groups/billing/stream")
	ok("DELETE", "/api/v1/groups/billing", "", nil)
}

// streams opens a stream whose client leaves at once.
func (s *server) streams(path string) bool {
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", path, strings.NewReader(""))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code == http.StatusOK && w.Header().Get("Content-Type") == "application/x-ndjson"
}

func TestRuleErrors(t *testing.T) {
	s := open(t, hub.NoLimits())
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/api/v1/rules/none", "", 404, "UnknownRule"},
		{"DELETE", "/api/v1/rules/none", "", 404, "UnknownRule"},
		{"POST", "/api/v1/rules/none/replay", "", 502, "SinkFailed"},
		{"PUT", "/api/v1/rules/a", `{"sql":"SELECT","actions":[{"type":"webhook","url":"u"}]}`, 400, "InvalidStatement"},
		{"PUT", "/api/v1/rules/a", `{"sql":"SELECT * FROM 't'","actions":[{"type":"x"}]}`, 400, "InvalidParameter"},
		{"PUT", "/api/v1/rules/a", `{"id":"b","sql":"SELECT * FROM 't'","actions":[]}`, 400, "InvalidParameter"},
		{"PUT", "/api/v1/rules/a", `{"sql":"SELECT * FROM 't'","actions":[]}`, 400, "InvalidParameter"},
		{"GET", "/api/v1/scenes/none", "", 404, "UnknownScene"},
		{"DELETE", "/api/v1/scenes/none", "", 404, "UnknownScene"},
		{"POST", "/api/v1/scenes/none/run", "{}", 404, "UnknownScene"},
		{"POST", "/api/v1/scenes/none/explain", "{}", 404, "UnknownScene"},
		{"PUT", "/api/v1/scenes/a", `{"actions":[]}`, 400, "InvalidParameter"},
		{"PUT", "/api/v1/scenes/a", `{"id":"b","actions":[{"type":"alarm","text":"t"}]}`, 400, "InvalidParameter"},
		{"PUT", "/api/v1/scenes/a", `{"actions":[{"type":"scene","scene":"b"}]}`, 404, "UnknownScene"},
		{"PUT", "/api/v1/scenes/a", `{"triggers":[{"type":"message","sql":"SELECT"}],"actions":[{"type":"alarm","text":"t"}]}`, 400, "InvalidStatement"},
		{"GET", "/api/v1/groups/none", "", 404, "UnknownGroup"},
		{"POST", "/api/v1/groups", `{"id":"a"}`, 400, "InvalidParameter"},
		{"POST", "/api/v1/groups/none/stream", "", 404, "UnknownGroup"},
	} {
		var e struct{ Code string }
		if status := s.do(c.method, c.path, c.body, &e); status != c.status || e.Code != c.code {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, e.Code)
		}
	}
}

// An application consumes groups of products it may read, and no others.
func TestGroupRights(t *testing.T) {
	s := open(t, hub.NoLimits())
	app, err := s.hub.PutApplication(t.Context(), hub.Application{Rights: map[string]hub.Right{"a1Mine00001": hub.Write, "a1Shown0001": hub.Read}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, body string) int {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if strings.HasSuffix(path, "/stream") {
			cancel() // it ends at once
		}
		r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
		auth.SignRequest(r, []byte(body), app.AccessKey, app.Secret, time.Now())
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w.Code
	}
	group := func(id, pk string) string {
		return `{"id":"` + id + `","subscriptions":[{"productKey":"` + pk + `","kinds":["upstream"]}]}`
	}
	for _, g := range [][2]string{{"shown", "a1Shown0001"}, {"other", "a1Other0001"}} {
		s.do("POST", "/api/v1/groups", group(g[0], g[1]), nil)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/api/v1/groups", group("mine", "a1Mine00001"), 200},
		{"POST", "/api/v1/groups", group("theirs", "a1Other0001"), 403},
		{"POST", "/api/v1/groups/mine/stream", "", 200},
		{"POST", "/api/v1/groups/shown/stream", "", 200},
		{"POST", "/api/v1/groups/other/stream", "", 403},
		{"POST", "/api/v1/groups/none/stream", "", 403},
		{"GET", "/api/v1/groups/other", "", 403},
		{"DELETE", "/api/v1/groups/shown", "", 403},
		{"DELETE", "/api/v1/groups/mine", "", 200},
		{"GET", "/api/v1/groups", "", 403},
		{"PUT", "/api/v1/rules/r", "{}", 403},
		{"GET", "/api/v1/scenes", "", 403},
		{"PUT", "/api/v1/scenes/s", `{"actions":[{"type":"set","device":"a1Mine00001/d","items":{"A":1}}]}`, 403},
		{"POST", "/api/v1/scenes/s/run", `{"productKey":"a1Mine00001","deviceName":"d"}`, 403},
		{"GET", "/api/v1/alarms", "", 403},
	} {
		if got := send(c.method, c.path, c.body); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
}
