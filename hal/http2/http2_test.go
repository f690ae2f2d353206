// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is device A of the wire facts, section 23.
var lab = iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}

const labSecret = "5f2c8b1e9a7d4c3fb0e6d1a2c4f80719"

// platform is a hub behind a server, with the lab device.
type platform struct {
	t       testing.TB
	hub     *hub.Hub
	handler *http2.Handler
	folder  string // of uploads
	web     *httptest.Server
}

func serve(t testing.TB, limits hub.Limits, change func(*http2.Config)) *platform {
	t.Helper()
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New(), Limits: &limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: lab.Product}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RegisterDevice(t.Context(), hub.Device{ID: lab, Secret: auth.NewSecret(labSecret)}); err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, hub: h, folder: t.TempDir()}
	root, err := os.OpenRoot(p.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	cfg := http2.Config{Platform: h, Blobs: http2.NewFolder(root)}
	if change != nil {
		change(&cfg)
	}
	p.handler, p.web = listen(t, cfg)
	return p
}

// listen serves a Handler over HTTP/2 without TLS.
func listen(t testing.TB, cfg http2.Config) (*http2.Handler, *httptest.Server) {
	t.Helper()
	handler, err := http2.NewHandler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(handler)
	web.Config.Protocols = new(http.Protocols)
	web.Config.Protocols.SetHTTP1(true)
	web.Config.Protocols.SetUnencryptedHTTP2(true)
	web.Config.HTTP2 = &http.HTTP2Config{MaxReadFrameSize: 16 << 10} // as hal/sniff has it
	web.Start()
	t.Cleanup(web.Close)
	t.Cleanup(func() { _ = handler.Close() })
	return handler, web
}

func (p *platform) url() string { return "h2c" + strings.TrimPrefix(p.web.URL, "http") }

// login is that of the lab device, in the manner of MQTT.
func login(secret string) hal.Login {
	tr := auth.SignMQTT(lab, auth.NewSecret(secret), auth.MQTTOptions{ServerSubscribe: true})
	return hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: time.Minute}
}

func ignore(iot.Message) {}

func TestNewHandler(t *testing.T) {
	if _, err := http2.NewHandler(http2.Config{}); err == nil {
		t.Error("no platform")
	}
}

func TestServes(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	for path, want := range map[string]int{
		"/h2/connect": http.StatusHTTPVersionNotSupported, "/h2/": http.StatusHTTPVersionNotSupported, "/other": http.StatusNotFound,
		"/stream/open/x": http.StatusUnauthorized, "/stream/send/x": http.StatusNotFound, "/stream/": http.StatusNotFound,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := p.web.Client().Do(r) // HTTP/1.1
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || http2.Serves(path) != (path != "/other") {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
}

func TestRefused(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	bad := login(labSecret)
	bad.ClientID = "no bars"
	for name, c := range map[string]struct {
		login  hal.Login
		reason hal.Reason
	}{
		"secret":    {login("wrong"), hal.BadCredentials},
		"client id": {bad, hal.BadClientID},
	} {
		_, err := http2.New(p.url()).Connect(t.Context(), c.login, ignore)
		if refused, ok := errors.AsType[*hal.RefusedError](err); !ok || refused.Reason != c.reason {
			t.Errorf("%s: %v, want %v", name, err, c.reason)
		}
	}
	if _, err := p.hub.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	_, err := http2.New(p.url()).Connect(t.Context(), login(labSecret), ignore)
	if refused, ok := errors.AsType[*hal.RefusedError](err); !ok || refused.Reason != hal.NotAuthorized {
		t.Errorf("disabled: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := http2.New(p.url()).Connect(ctx, login(labSecret), ignore); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, url := range []string{"mqtt://x", "://"} {
		if _, err := http2.New(url).Connect(t.Context(), login(labSecret), ignore); err == nil {
			t.Errorf("%s is a URL", url)
		}
	}
}
