// SPDX-License-Identifier: Apache-2.0

package management_test

import (
	"net/http"
	"strings"
	"testing"
)

// identity calls every operation on sub-devices, applications, certificates and
// tokens.
func (s *server) identity(t *testing.T) {
	t.Helper()
	want := func(status int, method, path, body string, out any) {
		t.Helper()
		if code := s.do(method, path, body, out); code != status {
			t.Errorf("%s %s: status %d, want %d", method, path, code, status)
		}
	}
	ok := func(method, path, body string, out any) {
		t.Helper()
		want(http.StatusOK, method, path, body, out)
	}
	ok("POST", "/api/v1/products", `{"productKey":"a1HttpGw001","nodeType":"gateway"}`, nil)
	ok("POST", "/api/v1/products", `{"productKey":"a1HttpSub01"}`, nil)
	ok("POST", "/api/v1/devices", `{"productKey":"a1HttpGw001","deviceName":"gw-1"}`, nil)
	ok("POST", "/api/v1/devices", `{"productKey":"a1HttpSub01","deviceName":"sub-1"}`, nil)
	const gw, sub = "/api/v1/devices/a1HttpGw001/gw-1", "/api/v1/devices/a1HttpSub01/sub-1"
	one := `{"devices":[{"productKey":"a1HttpSub01","deviceName":"sub-1"}]}`
	ok("POST", gw+"/subdevices", one, nil)
	want(http.StatusBadRequest, "POST", sub+"/subdevices", one, nil)
	var names struct{ Items []struct{ DeviceName string } }
	ok("GET", gw+"/subdevices", "", &names)
	if len(names.Items) != 1 || names.Items[0].DeviceName != "sub-1" {
		t.Errorf("sub-devices %+v", names)
	}
	var of struct{ Gateway struct{ DeviceName string } }
	ok("GET", sub+"/gateway", "", &of)
	if of.Gateway.DeviceName != "gw-1" {
		t.Errorf("gateway %+v", of)
	}
	ok("POST", gw+"/subdevices/remove", one, nil)
	want(http.StatusBadRequest, "POST", gw+"/subdevices/remove", one, nil)
	want(http.StatusNotFound, "GET", "/api/v1/devices/a1HttpGw001/nobody/subdevices", "", nil)

	fp := strings.Repeat("ab", 32)
	ok("POST", sub+"/certificates", `{"fingerprint":"`+fp+`"}`, nil)
	want(http.StatusBadRequest, "POST", sub+"/certificates", `{"fingerprint":"x"}`, nil)
	ok("DELETE", sub+"/certificates/"+fp, "", nil)
	ok("DELETE", sub+"/tokens", "", nil)

	var app struct{ AccessKey, AccessSecret string }
	ok("POST", "/api/v1/applications", `{"name":"billing","rights":{"a1HttpSub01":"read"}}`, &app)
	if app.AccessKey == "" || app.AccessSecret == "" {
		t.Errorf("application %+v", app)
	}
	var apps struct {
		Items []struct{ AccessKey, AccessSecret string }
	}
	ok("GET", "/api/v1/applications", "", &apps)
	if len(apps.Items) != 1 || apps.Items[0].AccessKey != app.AccessKey || apps.Items[0].AccessSecret != "" {
		t.Errorf("applications %+v", apps)
	}
	want(http.StatusBadRequest, "POST", "/api/v1/applications", `{"rights":{"x":"everything"}}`, nil)
	ok("DELETE", "/api/v1/applications/"+app.AccessKey, "", nil)
	want(http.StatusNotFound, "DELETE", "/api/v1/applications/"+app.AccessKey, "", nil)
}
