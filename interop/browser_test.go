// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hal/sniff"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

// site is one port with HTTPS, which serves a page, and MQTT over WebSocket, where
// the page connects to.
type site struct {
	*iottest.Hub
	addr string
	told chan event // what the page reports
}

func newSite(t *testing.T) *site {
	t.Helper()
	needNPM(t, "mqtt", "5.16.0")
	cert, err := tls.LoadX509KeyPair(certificates.cert, certificates.key)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Hub: iottest.NewHub(t), told: make(chan event, 64)}
	door, err := mqttd.New(mqttd.Config{Access: s.Hub})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "browser/device.html") })
	mux.HandleFunc("GET /mqtt.min.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(npmModules, "mqtt/dist/mqtt.min.js"))
	})
	mux.HandleFunc("POST /told", func(_ http.ResponseWriter, r *http.Request) {
		var e event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		s.told <- e
	})
	port, err := sniff.New(sniff.Config{MQTT: door, HTTP: mux, TLS: hal.ServerTLS(0, cert), Secure: true})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); _ = port.Serve(l) }()
	t.Cleanup(func() {
		_ = port.Close()
		_ = door.Close()
		<-served
	})
	return s
}

// pin is what a browser calls a key it shall trust.
func pin(t *testing.T) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(certificates.cert, certificates.key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// browse opens a page in a browser without a window, until the test ends.
func browse(t *testing.T, page string) {
	t.Helper()
	chromium := needProgram(t, "chromium", "apt-get install chromium")
	home := t.TempDir()
	log := new(lockedBuffer)
	cmd := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+filepath.Join(home, "profile"),
		"--ignore-certificate-errors-spki-list="+pin(t), page)
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, cmd, log)
}

func (s *site) want(t *testing.T, kind string) event {
	t.Helper()
	timeout := time.After(40 * time.Second)
	for {
		select {
		case e := <-s.told:
			switch e.Event {
			case kind:
				return e
			case "error", "closed":
				t.Fatalf("the page reports %+v, want %q", e, kind)
			}
		case <-timeout:
			t.Fatalf("the page did not report %q within 40 s", kind)
		}
	}
}

// TestBrowser has a page in Chromium, with the npm package mqtt, log in as a
// device over secure WebSocket, post a property and get one set.
func TestBrowser(t *testing.T) {
	for _, c := range []struct{ name, level, path string }{
		{"MQTT 3.1.1", "4", "/mqtt"}, // offers the subprotocol mqtt
		{"MQTT 3.1", "3", "/"},       // offers mqttv3.1
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			d := s.Register()
			query := url.Values{
				"productKey": {d.ID.Product}, "deviceName": {d.ID.Name}, "deviceSecret": {d.Secret.Reveal()},
				"level": {c.level}, "path": {c.path},
			}
			browse(t, "https://"+s.addr+"/?"+query.Encode())
			if e := s.want(t, "posted"); e.Text != "" {
				t.Errorf("posted: %s", e.Text)
			}
			if e := s.want(t, "answer"); e.Code != 200 {
				t.Errorf("the answer has code %d", e.Code)
			}
			if got := s.Values(d.ID)["Power"]; got != "1" {
				t.Errorf("Power is %s at the platform", got)
			}
			if a, err := s.SetProperties(t.Context(), d.ID, object{"Power": 2}, hub.CallOptions{}); err != nil || a.Code != 200 {
				t.Errorf("set: %+v, %v", a, err)
			}
			if e := s.want(t, "set"); string(e.Body) != `{"Power":2}` {
				t.Errorf("the page was told %s", e.Body)
			}
		})
	}
}
