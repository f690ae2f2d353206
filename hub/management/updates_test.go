// SPDX-License-Identifier: Apache-2.0

package management_test

import (
	"os"
	"strings"
	"testing"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

func withOTA(t *testing.T) *hub.OTA {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return &hub.OTA{Blobs: ota.NewFolder(root), BaseURL: "https://ota.example.com"}
}

// updates calls every operation on firmware and configurations.
func (s *server) updates(ok func(method, path, body string, out any)) {
	s.t.Helper()
	const product, one = "/api/v1/products/a1Http0001/config", "/api/v1/devices/a1Http0001/chat-1/config"
	var p ota.Package
	ok("POST", "/api/v1/packages?productKey=a1Http0001&version=2.0&name=spring&size=8", "firmware", &p)
	ok("GET", "/api/v1/packages?productKey=a1Http0001", "", nil)
	ok("GET", "/api/v1/packages/"+p.ID, "", nil)
	var c struct{ ID string }
	ok("POST", "/api/v1/campaigns", `{"name":"all","productKey":"a1Http0001","packages":["`+p.ID+`"],"plan":{"from":["1.0"],
		"stages":[{"percent":10,"approve":true}],"rate":{"perMinute":60,"factor":2,"every":10,"max":600},"concurrent":5,
		"thresholds":[{"outcome":"failures","percent":20,"min":5,"abort":true}],"timeoutSeconds":600,"retries":1}}`, &c)
	ok("GET", "/api/v1/campaigns?productKey=a1Http0001", "", nil)
	ok("GET", "/api/v1/campaigns/"+c.ID, "", nil)
	ok("POST", "/api/v1/campaigns/"+c.ID+"/control", `{"action":"start"}`, nil)
	ok("GET", "/api/v1/campaigns/"+c.ID+"/jobs?state=pending&limit=1", "", nil)
	var why struct{ Explanation string }
	ok("GET", "/api/v1/campaigns/"+c.ID+"/jobs/chat-1", "", &why)
	if !strings.Contains(why.Explanation, "waits for approval") {
		s.t.Errorf("explained as %q", why.Explanation)
	}
	ok("DELETE", "/api/v1/campaigns/"+c.ID+"/jobs/chat-1", "", nil)
	ok("POST", "/api/v1/campaigns/"+c.ID+"/control", `{"action":"abort","why":"test"}`, nil)
	ok("DELETE", "/api/v1/packages/"+p.ID, "", nil)
	for _, scope := range []string{product, one} {
		ok("PUT", scope, `{"content":{"a":1},"note":"first"}`, nil)
		ok("PUT", scope, `{"content":null,"ifVersion":1}`, nil)
		ok("GET", scope, "", nil)
		ok("POST", scope+"/rollback", `{"version":1}`, nil)
		ok("GET", scope+"/history", "", nil)
		ok("POST", scope+"/push", "", nil)
	}
	s.lines("/api/v1/update-events")
}

// lines holds every line of a stream against its schema.
func (s *server) lines(path string) {
	s.t.Helper()
	w := s.call("GET", path, "")
	n := 0
	for line := range strings.Lines(w.Body.String()) {
		s.check("GET", path, w.Code, []byte(line))
		n++
	}
	if n == 0 {
		s.t.Errorf("%s: nothing", path)
	}
}

func TestUpdateErrors(t *testing.T) {
	s := open(t, hub.NoLimits())
	s.do("POST", "/api/v1/products", `{"productKey":"a1Http0001"}`, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/api/v1/packages/none", "", 404, "UnknownPackage"},
		{"POST", "/api/v1/packages?productKey=none&version=1", "x", 404, "UnknownProduct"},
		{"POST", "/api/v1/packages?productKey=a1Http0001", "x", 400, "InvalidParameter"},
		{"POST", "/api/v1/packages?productKey=a1Http0001&version=1&size=2", "x", 400, "DigestMismatch"},
		{"POST", "/api/v1/packages?productKey=a1Http0001&version=1&size=x", "x", 400, "InvalidParameter"},
		{"GET", "/api/v1/campaigns/none", "", 404, "UnknownCampaign"},
		{"POST", "/api/v1/campaigns", `{"productKey":"a1Http0001","packages":[]}`, 400, "InvalidParameter"},
		{"POST", "/api/v1/campaigns", `{"productKey":"a1Http0001","packages":["none"]}`, 404, "UnknownPackage"},
		{"POST", "/api/v1/campaigns/none/control", `{"action":"start"}`, 404, "UnknownCampaign"},
		{"GET", "/api/v1/campaigns/none/jobs", "", 404, "UnknownCampaign"},
		{"GET", "/api/v1/campaigns/none/jobs?state=strange", "", 400, "InvalidParameter"},
		{"GET", "/api/v1/products/a1Http0001/config", "", 404, "UnknownConfig"},
		{"PUT", "/api/v1/products/a1Http0001/config", `{"note":"x"}`, 400, "InvalidParameter"},
		{"PUT", "/api/v1/products/a1Http0001/config", `{"content":"` + strings.Repeat("x", 64<<10) + `"}`, 413, "TooLarge"},
		{"POST", "/api/v1/products/a1Http0001/config/rollback", `{"version":3}`, 404, "UnknownConfig"},
		{"PUT", "/api/v1/devices/a1Http0001/none/config", `{"content":1}`, 404, "UnknownDevice"},
	} {
		var e struct{ Code string }
		if status := s.do(c.method, c.path, c.body, &e); status != c.status || e.Code != c.code {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, status, e.Code, c.status, c.code)
		}
	}
}
