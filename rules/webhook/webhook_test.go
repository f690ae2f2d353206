// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sinktest"
	"github.com/openalink/iot/rules/webhook"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(func() {
		s.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return s.URL
}

func TestSink(t *testing.T) {
	sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
		var mu sync.Mutex
		var arrived []int
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			arrived = append(arrived, int(gjson.GetBytes(body, "n").Int()))
		})
		return sinktest.Target{Sink: webhook.New(url, webhook.Options{}), Arrived: func(*testing.T) []int {
			mu.Lock()
			defer mu.Unlock()
			return append([]int{}, arrived...)
		}}
	})
}

// The ten ways a receiver fails, and whether the row is tried again.
func TestFailures(t *testing.T) {
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	for name, c := range map[string]struct {
		serve     http.HandlerFunc
		permanent bool
	}{
		"500": {serve: status(500)}, "503": {serve: status(503)}, "429": {serve: status(429)}, "408": {serve: status(408)},
		"400": {status(400), true}, "401": {status(401), true}, "404": {status(404), true}, "redirect": {status(302), true},
		"cut off": {serve: func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.Close()
			}
		}},
		"garbage": {serve: func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(c, "not HTTP\r\n\r\n")
				c.Close()
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			err := webhook.New(serve(t, c.serve), webhook.Options{}).Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1)})
			if err == nil || rules.IsPermanent(err) != c.permanent {
				t.Errorf("%v, permanent %v", err, rules.IsPermanent(err))
			}
		})
	}
	err := webhook.New("http://127.0.0.1:1", webhook.Options{}).Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1)})
	if err == nil || rules.IsPermanent(err) {
		t.Errorf("nobody listens: %v", err)
	}
	if err := webhook.New("::", webhook.Options{}).Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1)}); !rules.IsPermanent(err) {
		t.Errorf("no URL: %v", err)
	}
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	s := webhook.New(url, webhook.Options{Header: http.Header{"Authorization": {"Bearer x"}}})
	if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 7)}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Idempotency-Key": "rule/0/7", "Message-Id": "7", "Topic": "/a1Lamps0001/d/user/update", "Device": "a1Lamps0001/d",
		"Authorization": "Bearer x", "Content-Type": "application/json",
	}
	for name, value := range want {
		if got.Header.Get(name) != value {
			t.Errorf("%s: %q", name, got.Header.Get(name))
		}
	}
	if string(body) != string(sinktest.Row("d", 7).Payload) {
		t.Errorf("%s", body)
	}
}

func TestTencent(t *testing.T) {
	tencent := &webhook.Tencent{Token: auth.NewSecret("token-1")}
	var bodies []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !tencent.Verify(r) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if echo := r.Header.Get("Echostr"); echo != "" {
			fmt.Fprint(w, echo)
			return
		}
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
	})
	s := webhook.New(url, webhook.Options{Tencent: tencent})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	binary := sinktest.Row("d", 2)
	binary.Payload = []byte{1, 2}
	row := sinktest.Row("d", 1)
	row.Payload = []byte(`{"n":1}`)
	if err := s.Send(t.Context(), []*rules.Delivery{row, binary}); err != nil {
		t.Error(err)
	}
	want := []string{
		`{"devicename":"d","payload":{"n":1},"productid":"a1Lamps0001","seq":1,"timestamp":1772368205,"topic":"/a1Lamps0001/d/user/update"}`,
		`{"devicename":"d","payload":"AQI=","productid":"a1Lamps0001","seq":2,"timestamp":1772368205,"topic":"/a1Lamps0001/d/user/update"}`,
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Error(diff)
	}
	other := webhook.New(url, webhook.Options{Tencent: &webhook.Tencent{Token: auth.NewSecret("other")}})
	if err := other.Check(t.Context()); err == nil {
		t.Error("a wrong token was echoed")
	}
	if err := other.Send(context.Background(), []*rules.Delivery{row}); !rules.IsPermanent(err) {
		t.Errorf("%v", err)
	}
}

func Example() {
	s := webhook.New("https://example.com/heat", webhook.Options{Header: http.Header{"Authorization": {"Bearer secret"}}})
	rule := rules.Rule{ID: "heat", SQL: `SELECT * FROM "/+/+/user/update" WHERE t > 38`, Actions: []rules.Action{{Sink: s}}}
	fmt.Println(rule.ID, rule.Mode)
	// Output: heat best-effort
}
