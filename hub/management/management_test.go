// SPDX-License-Identifier: Apache-2.0

package management_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/management"
	"github.com/openalink/iot/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "test-key"

// server is the API of a hub, and what its description promises.
type server struct {
	t       *testing.T
	hub     *hub.Hub
	handler http.Handler
	schemas *jsonschema.Compiler
	doc     description
	called  map[string]bool
}

type description struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct {
				Schema struct {
					Ref string `json:"$ref"`
				}
			}
		}
	}
}

func open(t *testing.T, limits hub.Limits) *server {
	t.Helper()
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New(), Limits: &limits, OTA: withOTA(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	set, scenes, queues := forwarding(t, h)
	handler, err := management.New(h, management.Config{Keys: []auth.Secret{auth.NewSecret(key)}, Rules: set, Scenes: scenes, Queues: queues})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, hub: h, handler: handler, schemas: jsonschema.NewCompiler(), called: map[string]bool{}}
	raw, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &s.doc); err != nil {
		t.Fatal(err)
	}
	if err := s.schemas.AddResource("api.json", bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return s
}

// do calls an operation, holds the answer against its schema and decodes it.
func (s *server) do(method, path, body string, out any) int {
	s.t.Helper()
	w := s.call(method, path, body)
	s.check(method, strings.SplitN(path, "?", 2)[0], w.Code, w.Body.Bytes())
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			s.t.Fatalf("%s %s: %s: %v", method, path, w.Body, err)
		}
	}
	return w.Code
}

// call calls an operation.
func (s *server) call(method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *server) check(method, path string, status int, body []byte) {
	s.t.Helper()
	for pattern, ops := range s.doc.Paths {
		op, ok := ops[strings.ToLower(method)]
		if !ok || !matches(pattern, path) {
			continue
		}
		s.called[method+" "+pattern] = true
		want, ok := op.Responses[fmt.Sprint(status)]
		if !ok {
			want = op.Responses["default"]
		}
		for _, c := range want.Content {
			schema, err := s.schemas.Compile("api.json" + c.Schema.Ref)
			if err != nil {
				s.t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal(body, &v); err != nil {
				s.t.Errorf("%s %s: %s: %v", method, path, body, err)
			} else if err := schema.Validate(v); err != nil {
				s.t.Errorf("%s %s: %d %s\n%#v", method, path, status, body, err)
			}
		}
		return
	}
	if status != http.StatusNotFound {
		s.t.Errorf("%s %s is not described", method, path)
	}
}

func matches(pattern, path string) bool {
	return slices.EqualFunc(strings.Split(pattern, "/"), strings.Split(path, "/"), func(p, q string) bool {
		return p == q || strings.HasPrefix(p, "{")
	})
}

func TestDescriptionAndHandlerAgree(t *testing.T) {
	s := open(t, hub.NoLimits())
	var described []string
	for path, ops := range s.doc.Paths {
		for method := range ops {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	served := management.Routes()
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described %q\nserved %q", described, served)
	}
}

// echo is a device that answers every request, over a link in memory.
type echo struct {
	session hal.Session
	id      iot.DeviceID
}

func (e *echo) Close(hal.Cause) { go e.session.Close(hal.CauseReset) }

func (e *echo) Send(_ context.Context, d hal.Delivery, done func(error)) {
	m := iot.Message{Topic: strings.Clone(d.Message.Topic), Payload: bytes.Clone(d.Message.Payload)}
	if done != nil {
		done(nil)
	}
	var req struct{ ID string }
	_ = json.Unmarshal(m.Payload, &req)
	if i := strings.Index(m.Topic, "/rrpc/request/"); i >= 0 {
		m.Topic = strings.Replace(m.Topic, "/rrpc/request/", "/rrpc/response/", 1)
	} else {
		m.Topic += "_reply"
	}
	m.Payload = fmt.Appendf(nil, `{"id":%q,"code":200,"data":{"done":true}}`, req.ID)
	go e.session.Receive(context.Background(), m, func([]iot.Message, error) {})
}

func (s *server) connect(name string) *echo {
	s.t.Helper()
	d, err := s.hub.RegisterDevice(s.t.Context(), hub.Device{ID: iot.DeviceID{Product: "a1Http0001", Name: name}})
	if err != nil {
		s.t.Fatal(err)
	}
	e := &echo{id: d.ID}
	tr := auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{ServerSubscribe: true})
	acc, err := s.hub.Connect(s.t.Context(), &hal.ConnectRequest{
		ClientID: tr.ClientID, UserName: tr.UserName, Credential: auth.NewPassword(tr.Password.Reveal()), KeepAlive: 60e9, CleanSession: true, Link: e,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	e.session = acc.Session
	return e
}

func TestEveryOperation(t *testing.T) {
	s := open(t, hub.NoLimits())
	ok := func(method, path, body string, out any) {
		t.Helper()
		if code := s.do(method, path, body, out); code != http.StatusOK {
			t.Errorf("%s %s: status %d", method, path, code)
		}
	}
	var product struct{ ProductKey, ProductSecret string }
	ok("POST", "/api/v1/products", `{"productKey":"a1Http0001","name":"lamps","topics":[{"suffix":"user/get","operation":"sub"},{"suffix":"user/update","operation":"pub"}]}`, &product)
	if product.ProductSecret == "" {
		t.Error("a new product has no secret")
	}
	ok("GET", "/api/v1/products", "", nil)
	ok("GET", "/api/v1/products/a1Http0001", "", nil)
	ok("PATCH", "/api/v1/products/a1Http0001", `{"dynamicRegister":true,"tags":{"a":"b"}}`, nil)
	ok("GET", "/api/v1/openapi.json", "", nil)

	ok("POST", "/api/v1/devices", `{"productKey":"a1Http0001","deviceName":"one-1","tags":{"room":"hall"}}`, nil)
	var list struct {
		Items []struct {
			DeviceName, DeviceSecret string
			Error                    *management.Error
		}
		Cursor string
	}
	ok("POST", "/api/v1/devices", `[{"productKey":"a1Http0001","deviceName":"many-1"},{"productKey":"a1Http0001","deviceName":"x"},{"productKey":"a1Http0001","deviceName":"many-2"}]`, &list)
	if len(list.Items) != 3 || list.Items[0].DeviceSecret == "" || list.Items[1].Error == nil || list.Items[1].Error.Code != "InvalidParameter" {
		t.Errorf("results %+v", list.Items)
	}
	ok("GET", "/api/v1/devices?productKey=a1Http0001&limit=2", "", &list)
	if len(list.Items) != 2 || list.Cursor != "many-2" {
		t.Errorf("page %+v", list)
	}
	ok("GET", "/api/v1/devices?productKey=a1Http0001&limit=2&cursor="+list.Cursor, "", &list)
	if len(list.Items) != 1 || list.Items[0].DeviceName != "one-1" {
		t.Errorf("second page %+v", list)
	}
	const one = "/api/v1/devices/a1Http0001/one-1"
	ok("GET", one, "", nil)
	ok("POST", one+"/tags", `{"room":"","floor":"2"}`, nil)
	ok("POST", one+"/secret", `{}`, nil)

	e := s.connect("echo-1")
	const echo1 = "/api/v1/devices/a1Http0001/echo-1"
	posted := make(chan error, 1)
	e.session.Receive(t.Context(), iot.Message{Topic: "/sys/a1Http0001/echo-1/thing/event/property/post", Payload: []byte(`{"id":"1","params":{"t":21.5}}`)},
		func(_ []iot.Message, err error) { posted <- err })
	if err := <-posted; err != nil {
		t.Fatal(err)
	}
	var values map[string]struct{ Value float64 }
	ok("GET", echo1+"/properties?identifiers=t,u", "", &values)
	if values["t"].Value != 21.5 {
		t.Errorf("properties %v", values)
	}
	var answer struct {
		MessageID string
		Data      struct{ Done bool }
	}
	ok("POST", echo1+"/properties", `{"params":{"t":1},"timeout":2000}`, &answer)
	if !answer.Data.Done {
		t.Errorf("answer %+v", answer)
	}
	ok("POST", echo1+"/services/reboot", `{"params":{}}`, &answer)
	ok("POST", echo1+"/services/reboot", `{"params":{},"async":true}`, &answer)
	ok("POST", echo1+"/rrpc", `{"payload":"e30="}`, nil)
	ok("GET", echo1+"/presence", "", nil)
	ok("GET", echo1+"/downlinks/"+answer.MessageID, "", nil)
	ok("POST", one+"/properties", `{"params":{"t":1},"queue":true}`, &answer)
	ok("GET", one+"/downlinks/"+answer.MessageID, "", nil)
	ok("DELETE", one+"/downlinks/"+answer.MessageID, "", nil)
	both := `{"devices":[{"productKey":"a1Http0001","deviceName":"echo-1"},{"productKey":"a1Http0001","deviceName":"none"}],"params":{},"service":"s"}`
	for _, what := range []string{"properties", "services", "enable", "disable"} {
		ok("POST", "/api/v1/batch/"+what, both, nil)
	}
	ok("POST", echo1+"/enable", "", nil)
	ok("POST", echo1+"/disable", "", nil)
	ok("POST", "/api/v1/broadcast", `{"productKey":"a1Http0001","payload":"aGk="}`, nil)
	ok("GET", "/api/v1/messages?productKey=a1Http0001&deviceName=echo-1&limit=1", "", nil)
	ok("GET", "/api/v1/logs?kind=behaviour&status=success&limit=10", "", nil)
	ok("GET", one+"/shadow", "", nil)
	ok("PATCH", one+"/shadow", `{"desired":{"hue":1,"mode":"eco"}}`, nil)
	ok("PUT", one+"/shadow", `{"desired":{"hue":2},"version":7}`, nil)
	ok("GET", one+"/shadow/history", "", nil)
	modelOperations(t, s)
	ok("DELETE", one, "", nil)

	c := s.connect("chat-1")
	c.session.(hal.Subscriber).Subscribe(t.Context(), []hal.Filter{{Topic: "/a1Http0001/chat-1/user/get"}})
	ok("POST", "/api/v1/pub", `{"topic":"/a1Http0001/chat-1/user/get","payload":"aGk=","qos":0}`, nil)
	ok("POST", "/api/v1/products", `{"productKey":"empty"}`, nil)
	ok("DELETE", "/api/v1/products/empty", "", nil)

	s.updates(ok)
	s.forwardingOperations(ok)
	s.sceneOperations(ok)
	s.identity(t)
	for _, pattern := range management.Routes() {
		if !s.called[pattern] && !strings.HasSuffix(pattern, "/trace") {
			t.Errorf("%s was never called", pattern)
		}
	}
}

func TestErrors(t *testing.T) {
	s := open(t, hub.NoLimits())
	s.do("POST", "/api/v1/products", `{"productKey":"a1Http0001"}`, nil)
	s.do("POST", "/api/v1/devices", `{"productKey":"a1Http0001","deviceName":"one-1"}`, nil)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/api/v1/nothing", "", 404, "NotFound"},
		{"GET", "/api/v1/products/none", "", 404, "UnknownProduct"},
		{"GET", "/api/v1/devices/a1Http0001/none", "", 404, "UnknownDevice"},
		{"POST", "/api/v1/products", `{`, 400, "InvalidParameter"},
		{"POST", "/api/v1/products", `{"unknown":1}`, 400, "InvalidParameter"},
		{"POST", "/api/v1/products", ``, 400, "InvalidParameter"},
		{"POST", "/api/v1/products", `{"productKey":"a1Http0001","nodeType":"gateway"}`, 409, "Exists"},
		{"POST", "/api/v1/products", `{"topics":[{"suffix":"a","operation":"x"}]}`, 400, "InvalidParameter"},
		{"POST", "/api/v1/devices", `{"productKey":"none","deviceName":"one-1"}`, 404, "UnknownProduct"},
		{"POST", "/api/v1/devices", `{"productKey":"a1Http0001","deviceName":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "TooLarge"},
		{"GET", "/api/v1/devices?productKey=a1Http0001&limit=0", "", 400, "InvalidParameter"},
		{"POST", "/api/v1/devices/a1Http0001/one-1/properties", `{"params":{}}`, 409, "DeviceNotActivated"},
		{"POST", "/api/v1/devices/a1Http0001/one-1/properties", `{"params":{},"timeout":-1}`, 400, "InvalidParameter"},
		{"GET", "/api/v1/devices/a1Http0001/one-1/downlinks/1", "", 404, "UnknownMessage"},
		{"GET", "/api/v1/devices/a1Http0001/one-1/downlinks/x", "", 400, "InvalidParameter"},
		{"POST", "/api/v1/pub", `{"topic":"x"}`, 400, "InvalidParameter"},
		{"POST", "/api/v1/pub", `{"topic":""}`, 400, "InvalidParameter"},
		{"POST", "/api/v1/pub", `{"topic":"/a1Http0001/one-1/user/get","qos":2}`, 400, "InvalidParameter"},
		{"GET", "/api/v1/messages?deviceName=x", "", 400, "InvalidParameter"},
		{"GET", "/api/v1/messages?cursor=x", "", 400, "InvalidParameter"},
		{"GET", "/api/v1/logs?from=yesterday", "", 400, "InvalidParameter"},
		{"POST", "/api/v1/batch/enable", `{"devices":[]}`, 400, "InvalidParameter"},
	} {
		var e management.Error
		if status := s.do(tt.method, tt.path, tt.body, &e); status != tt.status || e.Code != tt.code || e.RequestID == "" || e.Message == "" {
			t.Errorf("%s %.80s %.60s: %d %+v, want %d %s", tt.method, tt.path, tt.body, status, e, tt.status, tt.code)
		}
	}
}

func TestShadowConditions(t *testing.T) {
	s := open(t, hub.NoLimits())
	s.do("POST", "/api/v1/products", `{"productKey":"a1Http0001"}`, nil)
	s.do("POST", "/api/v1/devices", `{"productKey":"a1Http0001","deviceName":"one-1"}`, nil)
	const path = "/api/v1/devices/a1Http0001/one-1/shadow"
	call := func(method, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	first := call("PATCH", `{"desired":{"hue":1,"mode":"eco"}}`)
	tag := first.Header().Get("ETag")
	for _, tt := range []struct {
		name   string
		w      *httptest.ResponseRecorder
		status int
		body   string
	}{
		{"first", first, 200, `"desired":{"hue":1,"mode":"eco"}`},
		{"not modified", call("GET", "", "If-None-Match", tag), 304, ""},
		{"as it was before", call("GET", ""), 200, `"revision":1`},
		{"matching", call("PATCH", `{"desired":{"hue":null}}`, "If-Match", tag), 200, `"desired":{"mode":"eco"}`},
		{"stale", call("PATCH", `{"desired":{"hue":3}}`, "If-Match", tag), 412, `"code":"Changed"`},
		{"bad tag", call("PATCH", `{"desired":{"hue":3}}`, "If-Match", "x"), 400, `InvalidParameter`},
		{"replace", call("PUT", `{"desired":{"hue":4}}`), 200, `"desired":{"hue":4}`},
		{"stale version", call("PUT", `{"desired":{"hue":4},"version":1}`), 409, `"code":"409"`},
		{"nothing", call("PUT", `{}`), 400, `InvalidParameter`},
		{"no object", call("PUT", `{"desired":7}`), 400, `"code":"400"`},
	} {
		if tt.w.Code != tt.status || !strings.Contains(tt.w.Body.String(), tt.body) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, tt.w.Code, tt.w.Body, tt.status, tt.body)
		}
	}
}

func TestShadowAsItWas(t *testing.T) {
	s := open(t, hub.NoLimits())
	s.do("POST", "/api/v1/products", `{"productKey":"a1Http0001"}`, nil)
	s.do("POST", "/api/v1/devices", `{"productKey":"a1Http0001","deviceName":"one-1"}`, nil)
	const path = "/api/v1/devices/a1Http0001/one-1/shadow"
	for n := range 3 {
		s.do("PATCH", path, fmt.Sprintf(`{"desired":{"hue":%d}}`, n), nil)
	}
	s.do("PATCH", path, `{"desired":null}`, nil)
	var doc struct {
		Revision uint64
		State    struct{ Desired map[string]any }
	}
	if status := s.do("GET", path+"?at=2001-01-01T00:00:00Z", "", &doc); status != 200 || doc.Revision != 0 {
		t.Errorf("before the first change: %d %+v", status, doc)
	}
	if status := s.do("GET", path, "", &doc); status != 200 || doc.Revision != 4 || len(doc.State.Desired) != 0 {
		t.Errorf("after the wish was taken back: %d %+v", status, doc)
	}
	var revisions []uint64
	for cursor := ""; ; {
		var page struct {
			Items  []struct{ Revision uint64 }
			Cursor string
		}
		if status := s.do("GET", path+"/history?limit=3&cursor="+cursor, "", &page); status != 200 {
			t.Fatalf("history: %d", status)
		}
		for _, v := range page.Items {
			revisions = append(revisions, v.Revision)
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	if fmt.Sprint(revisions) != "[1 2 3 4]" {
		t.Errorf("revisions %v", revisions)
	}
	if status := s.do("GET", path+"/history?cursor=x", "", nil); status != 400 {
		t.Errorf("bad cursor: %d", status)
	}
}

func TestKeyIsRequired(t *testing.T) {
	s := open(t, hub.NoLimits())
	for _, header := range []string{"", "Bearer", "Bearer wrong", "Basic " + key, key} {
		r := httptest.NewRequest("GET", "/api/v1/products", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), key) {
			t.Errorf("%q: %d %s", header, w.Code, w.Body)
		}
	}
	if _, err := management.New(s.hub, management.Config{}); err == nil {
		t.Error("an API without a key")
	}
}

func TestRateLimits(t *testing.T) {
	limits := hub.NoLimits()
	limits.APIKey, limits.APIBroadcast = 3, 1
	s := open(t, limits)
	for i := range 4 {
		if status := s.do("GET", "/api/v1/products", "", nil); (status == http.StatusTooManyRequests) != (i == 3) {
			t.Errorf("request %d: %d", i, status)
		}
	}
	for i := range 2 {
		if status := s.do("POST", "/api/v1/broadcast", `{"productKey":"none"}`, nil); (status == http.StatusTooManyRequests) != (i == 1) {
			t.Errorf("broadcast %d: %d", i, status)
		}
	}
}

func TestTraceStreams(t *testing.T) {
	s := open(t, hub.NoLimits())
	s.do("POST", "/api/v1/products", `{"productKey":"a1Http0001"}`, nil)
	s.do("POST", "/api/v1/devices", `{"productKey":"a1Http0001","deviceName":"echo-1"}`, nil)
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	defer srv.CloseClientConnections()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v1/devices/a1Http0001/echo-1/trace", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	s.connect("echo-1")
	line, err := bufio.NewReader(resp.Body).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	s.check("GET", r.URL.Path, resp.StatusCode, line)
	if !bytes.Contains(line, []byte(`"operation":"connect"`)) {
		t.Errorf("line %s", line)
	}
}

func Example() {
	h, err := hub.Open(context.Background(), hub.Config{Store: mem.New()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	handler, err := management.New(h, management.Config{Keys: []auth.Secret{auth.NewSecret("key")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/api/v1/products", nil)
	r.Header.Set("Authorization", "Bearer key")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	fmt.Printf("%d %s", w.Code, body)
	// Output: 200 {"items":[]}
}
