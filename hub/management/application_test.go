// SPDX-License-Identifier: Apache-2.0

package management_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/management"
	"github.com/openalink/iot/store/mem"
)

// An application may do what its rights say, product by product; a request is
// taken once.
func TestApplicationRights(t *testing.T) {
	limits := hub.NoLimits()
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New(), Limits: &limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	for _, pk := range []string{"a1Mine00001", "a1Shown0001", "a1Other0001"} {
		if _, err := h.CreateProduct(t.Context(), hub.Product{Key: pk}); err != nil {
			t.Fatal(err)
		}
	}
	app, err := h.PutApplication(t.Context(), hub.Application{Rights: map[string]hub.Right{"a1Mine00001": hub.Write, "a1Shown0001": hub.Read}})
	if err != nil {
		t.Fatal(err)
	}
	api, err := management.New(h, management.Config{Keys: []auth.Secret{auth.NewSecret("root")}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, body string, change func(*http.Request)) int {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		auth.SignRequest(r, []byte(body), app.AccessKey, app.Secret, time.Now())
		if change != nil {
			change(r)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w.Code
	}
	create := func(pk string) string { return `{"productKey":"` + pk + `","deviceName":"lamp-1"}` }
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"write its own", "POST", "/api/v1/devices", create("a1Mine00001"), 200},
		{"read its own", "GET", "/api/v1/devices/a1Mine00001/lamp-1", "", 200},
		{"read what it may", "GET", "/api/v1/products/a1Shown0001", "", 200},
		{"write what it may read", "POST", "/api/v1/devices", create("a1Shown0001"), 403},
		{"delete what it may read", "DELETE", "/api/v1/products/a1Shown0001", "", 403},
		{"read a foreign one", "GET", "/api/v1/products/a1Other0001", "", 403},
		{"write a foreign one", "POST", "/api/v1/devices", create("a1Other0001"), 403},
		{"a foreign topic", "POST", "/api/v1/pub", `{"topic":"/a1Other0001/lamp-1/user/get","payload":"aGk="}`, 403},
		{"both in one", "POST", "/api/v1/batch/enable", `{"devices":[{"productKey":"a1Mine00001","deviceName":"lamp-1"},{"productKey":"a1Other0001","deviceName":"lamp-1"}]}`, 403},
		{"a key in two cases", "POST", "/api/v1/devices", `{"productKey":"a1Mine00001","PRODUCTKEY":"a1Other0001","deviceName":"lamp-1"}`, 403},
		{"its own devices", "GET", "/api/v1/devices?productKey=a1Mine00001", "", 200},
		{"a query nobody asks", "GET", "/api/v1/products?productKey=a1Mine00001", "", 403},
		{"all products", "GET", "/api/v1/products", "", 403},
		{"all messages", "GET", "/api/v1/messages", "", 403},
	} {
		if got := send(tt.method, tt.path, tt.body, nil); got != tt.want {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"another path":  func(r *http.Request) { r.URL.Path = "/api/v1/devices/a1Mine00001/lamp-2" },
		"another query": func(r *http.Request) { r.URL.RawQuery = "x=1" },
		"old": func(r *http.Request) {
			auth.SignRequest(r, nil, app.AccessKey, app.Secret, time.Now().Add(-10*time.Minute))
		},
		"unknown key":  func(r *http.Request) { auth.SignRequest(r, nil, "nobody", app.Secret, time.Now()) },
		"wrong secret": func(r *http.Request) { auth.SignRequest(r, nil, app.AccessKey, auth.NewSecret("guess"), time.Now()) },
	} {
		if got := send("GET", "/api/v1/devices/a1Mine00001/lamp-1", "", change); got != 401 {
			t.Errorf("%s: status %d, want 401", name, got)
		}
	}
	var header string
	send("GET", "/api/v1/products/a1Mine00001", "", func(r *http.Request) { header = r.Header.Get("Authorization") })
	if got := send("GET", "/api/v1/products/a1Mine00001", "", func(r *http.Request) { r.Header.Set("Authorization", header) }); got != 401 {
		t.Errorf("replayed: status %d, want 401", got)
	}
	if err := h.DeleteApplication(t.Context(), app.AccessKey); err != nil {
		t.Fatal(err)
	}
	if got := send("GET", "/api/v1/products/a1Mine00001", "", nil); got != 401 {
		t.Errorf("deleted application: status %d, want 401", got)
	}
}
