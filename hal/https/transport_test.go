// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hub"
)

func (p *platform) device(change func(*device.Config)) *device.Client {
	p.t.Helper()
	cfg := device.Config{
		Identity: hal.Identity{Device: lab, DeviceSecret: auth.NewSecret(labSecret)}, Transport: https.New(p.web.URL + "/"),
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	c, err := device.New(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// The program of a device does not change, as far as it only speaks.
func TestDeviceOverHTTPS(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	c := p.device(nil)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.PostProperties(t.Context(), map[string]any{"a": 7}); err != nil {
		t.Errorf("post: %v", err)
	}
	if _, err := p.hub.SetDesired(t.Context(), lab, map[string]any{"b": 1}, nil); err != nil {
		t.Fatal(err)
	}
	desired, err := c.DesiredProperties(t.Context(), "b")
	if err != nil || string(desired["b"].Value) != "1" {
		t.Errorf("desired %v, %v", desired, err)
	}
	if _, err := c.Time(t.Context()); err != nil {
		t.Errorf("NTP: %v", err)
	}
	if _, err := c.Shadow(t.Context()); err != nil {
		t.Errorf("shadow: %v", err)
	}
	values, err := p.hub.Properties(t.Context(), lab)
	if err != nil || string(values["a"].Value) != "7" {
		t.Errorf("values %v, %v", values, err)
	}
}

func TestNoDownlink(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	var log bytes.Buffer
	c := p.device(func(cfg *device.Config) {
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Handlers.SetProperties = func(context.Context, map[string]json.RawMessage) error { return nil }
	})
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "handlers are not called") {
		t.Errorf("a handler that is never called goes unmentioned: %s", &log)
	}
	err := c.Subscribe(t.Context(), "/a1LabPk00001/lab_dev_01/user/get", 1)
	if !errors.Is(err, https.ErrNoDownlink) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("subscribe: %v", err)
	}
	explicit := p.device(func(cfg *device.Config) { cfg.ExplicitSubscribe = true })
	if err := explicit.Connect(t.Context()); !errors.Is(err, https.ErrNoDownlink) {
		t.Errorf("subscribing at login: %v", err)
	}
	_, err = p.hub.SetProperties(t.Context(), lab, map[string]any{"a": 1}, hub.CallOptions{})
	if !errors.Is(err, hub.ErrOffline) {
		t.Errorf("property set: %v", err)
	}
}

// A token that is not taken any more ends the connection; the device logs in anew
// and loses no report.
func TestTokenRunsOut(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	c := p.device(nil)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := p.hub.RevokeTokens(t.Context(), lab); err != nil {
			t.Fatal(err)
		}
		if err := c.Report(map[string]any{"n": n}); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); c.Waiting() > 0 && time.Now().Before(end); {
			if err := c.WaitOnline(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if values, err := p.hub.Properties(t.Context(), lab); err != nil || string(values["n"].Value) != "2" {
		t.Errorf("values %v, %v", values, err)
	}
}

// login is a login for MQTT, which is what transports are given.
func login(secret string) hal.Login {
	tr := auth.SignMQTT(lab, auth.NewSecret(secret), auth.MQTTOptions{Timestamp: time.Now()})
	return hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password}
}

func ignore(iot.Message) {}

func TestConnectErrors(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	connect := func(url string, l hal.Login) error {
		t.Helper()
		c, err := https.New(url).Connect(t.Context(), l, ignore)
		if err == nil {
			t.Error("connected")
			_ = c.Close()
		}
		return err
	}
	err := connect(p.web.URL, login("guess"))
	refused, ok := errors.AsType[*hal.RefusedError](err)
	code, isCode := errors.AsType[*https.CodeError](err)
	if !ok || refused.Reason != hal.BadCredentials || !isCode || code.Code != https.CodeAuth {
		t.Errorf("wrong secret: %v", err)
	}
	reg := auth.SignRegister(lab, auth.NewSecret("p"), auth.RegisterOptions{Random: "x"})
	for _, l := range []hal.Login{
		{ClientID: reg.ClientID, UserName: reg.UserName, Password: reg.Password},
		{ClientID: "c|signmethod=hmacsha1|", UserName: "iotid"},
		{ClientID: "no bar"},
	} {
		if err := connect(p.web.URL, l); !errors.Is(err, https.ErrLogin) {
			t.Errorf("%s: %v", l.ClientID, err)
		}
	}
	for _, url := range []string{"mqtt://host", "http://127.0.0.1:1", "https://%zz", p.web.URL + "/nowhere"} {
		if err := connect(url, login(labSecret)); errors.As(err, &refused) {
			t.Errorf("%s: %v is a refusal", url, err)
		}
	}
	junk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"code":`)) }))
	defer junk.Close()
	if err := connect(junk.URL, login(labSecret)); strings.Contains(err.Error(), "{") {
		t.Errorf("the error repeats the answer: %v", err)
	}
	if err := p.hub.Close(); err != nil {
		t.Fatal(err)
	}
	if err := connect(p.web.URL, login(labSecret)); !errors.As(err, &refused) || refused.Reason != hal.Unavailable {
		t.Errorf("a hub that stopped: %v", err)
	}
}

func TestPublishErrors(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	c, err := https.New(p.web.URL).Connect(t.Context(), login(labSecret), ignore)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Publish(t.Context(), iot.Message{Topic: "/sys/other/device/thing/event/property/post", Payload: []byte(onePost)})
	if code, ok := errors.AsType[*https.CodeError](err); !ok || code.Code != https.CodePublish {
		t.Errorf("foreign topic: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update", Payload: []byte("x")}
	if err := c.Publish(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := c.Publish(t.Context(), m); err != nil {
		t.Errorf("after both: %v", err)
	}
	p.web.CloseClientConnections()
	p.web.Close()
	if err := c.Publish(t.Context(), m); !errors.Is(err, hal.ErrGone) {
		t.Errorf("server gone: %v", err)
	}
	<-c.Done()
	if err := c.Publish(t.Context(), m); !errors.Is(err, hal.ErrGone) {
		t.Errorf("connection gone: %v", err)
	}
}

// countingNet counts the connections of a board.
type countingNet struct{ dials int }

func (n *countingNet) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n.dials++
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func TestOwnNetAndOneConnection(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	board := new(countingNet)
	got := make(chan iot.Message, 10)
	tr := &https.Transport{URL: p.web.URL, Net: board}
	c, err := tr.Connect(t.Context(), login(labSecret), func(m iot.Message) { got <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 5 {
		if err := c.Publish(t.Context(), iot.Message{Topic: "/sys/a1LabPk00001/lab_dev_01/thing/event/property/post", Payload: []byte(onePost)}); err != nil {
			t.Fatal(err)
		}
		if m := <-got; m.Topic != "/sys/a1LabPk00001/lab_dev_01/thing/event/property/post_reply" {
			t.Errorf("answer on %s", m.Topic)
		}
	}
	if board.dials != 1 {
		t.Errorf("%d connections", board.dials)
	}
}
