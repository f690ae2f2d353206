// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
	"github.com/openalink/iot/ota"
)

// handlerTransport sends requests to a handler without a network.
type handlerTransport struct{ h http.Handler }

func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.h.ServeHTTP(w, r)
	return w.Result(), nil
}

// field is a hub with a firmware folder and one device with two images.
type field struct {
	*testing.T
	hub   *iottest.Hub
	dev   hub.Device
	dir   string
	boots int
}

func newField(t *testing.T) *field {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	h := iottest.NewHub(t, iottest.WithOTA(&hub.OTA{Blobs: ota.NewFolder(root), BaseURL: "https://ota.example.com"}))
	f := &field{T: t, hub: h, dev: h.Register(), dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(f.dir, "a.img"), []byte("1.0"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// boot is the device from power on until its reboot or, when nothing is left to
// do, until idle returns true. The image is its version.
func (f *field) boot(selfTest func(context.Context) error, idle func(version string) bool) string {
	f.Helper()
	f.boots++
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		f.Fatal(err)
	}
	defer root.Close()
	pair, err := fileslot.OpenFirmware(root)
	if err != nil {
		f.Fatal(err)
	}
	image, err := pair.Boot()
	if err != nil {
		f.Fatal(err)
	}
	content, err := root.ReadFile(image)
	if err != nil {
		f.Fatal(err)
	}
	version := strings.TrimRight(string(content[:min(len(content), 3)]), "\n")
	rebooted := make(chan struct{}, 8)
	c, err := device.New(device.Config{
		Identity:  hal.Identity{Device: f.dev.ID, DeviceSecret: f.dev.Secret},
		Transport: memTransport(f.hub),
		Links:     ota.HTTP{Client: &http.Client{Transport: handlerTransport{f.hub.Downloads()}}},
		Firmware: &device.Firmware{
			Version: version, State: fileslot.NewSlot(root), Slot: pair, SelfTest: selfTest, ConfirmWithin: time.Minute,
			Reboot: func(context.Context) error { rebooted <- struct{}{}; return nil },
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(f.Context()); err != nil {
		f.Fatal(err)
	}
	for {
		synctest.Wait()
		select {
		case <-rebooted:
			return version
		default:
		}
		if idle(version) {
			return version
		}
		time.Sleep(time.Second)
	}
}

func (f *field) campaign(content []byte, overMQTT bool) hub.Campaign {
	f.Helper()
	p, err := f.hub.UploadPackage(f.Context(), ota.Package{Product: iottest.ProductKey, Version: "2.0"}, bytes.NewReader(content))
	if err != nil {
		f.Fatal(err)
	}
	c, err := f.hub.CreateCampaign(f.Context(), hub.Campaign{Product: iottest.ProductKey, Packages: []string{p.ID}, OverMQTT: overMQTT})
	if err == nil {
		c, err = f.hub.ControlCampaign(f.Context(), c.ID, hub.StartCampaign, "")
	}
	if err != nil {
		f.Fatal(err)
	}
	return c
}

func (f *field) job(c hub.Campaign) ota.Job {
	f.Helper()
	synctest.Wait()
	for j, err := range f.hub.CampaignJobs(f.Context(), c.ID, "") {
		if err != nil {
			f.Fatal(err)
		}
		return j
	}
	f.Fatal("no job")
	return ota.Job{}
}

func TestFirmwareUpdate(t *testing.T) {
	for _, overMQTT := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(t)
			c := f.campaign(append([]byte("2.0\n"), make([]byte, 300<<10)...), overMQTT)
			done := func(string) bool { return f.job(c).State.Done() }
			if v := f.boot(nil, done); v != "1.0" {
				t.Errorf("first boot runs %s", v)
			}
			if j := f.job(c); j.State != ota.Installing || j.Percent != 100 {
				t.Errorf("after the download: %+v", j)
			}
			if v := f.boot(nil, done); v != "2.0" {
				t.Errorf("second boot runs %s", v)
			}
			if j := f.job(c); j.State != ota.Succeeded {
				t.Errorf("over MQTT %v: %+v", overMQTT, j)
			}
			if v := f.boot(nil, func(string) bool { return true }); v != "2.0" {
				t.Errorf("third boot runs %s", v)
			}
		})
	}
}

// A firmware whose self-test fails, or hangs, goes back; the platform is told.
func TestFirmwareRollsBack(t *testing.T) {
	for name, selfTest := range map[string]func(context.Context) error{
		"fails": func(context.Context) error { return errors.New("sensor is mute") },
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newField(t)
			c := f.campaign([]byte("2.0\nbroken"), false)
			done := func(string) bool { return f.job(c).State.Done() }
			for _, want := range []string{"1.0", "2.0", "1.0"} {
				if v := f.boot(selfTest, done); v != want {
					t.Errorf("%s: runs %s, want %s", name, v, want)
				}
			}
			j := f.job(c)
			if j.State != ota.Failed || j.Code != ota.UpgradeFailed || j.Detail == "" {
				t.Errorf("%s: %+v", name, j)
			}
		})
	}
}

func TestHandlersUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		got := make(chan ota.Notice, 1)
		c := iottest.Connect(t, f.hub, f.dev, device.Config{Handlers: device.Handlers{
			Upgrade: func(_ context.Context, n ota.Notice) { got <- n },
		}})
		if err := c.ReportVersion(t.Context(), "", "1.0"); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := c.FirmwareNotice(t.Context(), ""); ok || err != nil {
			t.Errorf("nothing to do: %v %v", ok, err)
		}
		camp := f.campaign([]byte("2.0"), false)
		if n := <-got; n.Version != "2.0" {
			t.Errorf("notice %+v", n)
		}
		if n, ok, err := c.FirmwareNotice(t.Context(), ""); !ok || err != nil || n.Version != "2.0" {
			t.Errorf("asked: %+v %v %v", n, ok, err)
		}
		if err := c.ReportProgress(t.Context(), ota.Progress{Step: ota.BurnFailed, Detail: "worn out"}); err != nil {
			t.Fatal(err)
		}
		if j := f.job(camp); j.State != ota.Failed || j.Detail != "worn out" {
			t.Errorf("job %+v", j)
		}
	})
}

func TestRemoteConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newField(t)
		root, err := os.OpenRoot(f.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		var applied []string
		refuse := errors.New("no")
		links := ota.HTTP{Client: &http.Client{Transport: handlerTransport{f.hub.Downloads()}}}
		cfg := device.Config{Links: links, RemoteConfig: &device.RemoteConfig{
			State: fileslot.NewSlot(root),
			Apply: func(_ context.Context, content []byte) error {
				if strings.Contains(string(content), "bad") {
					return refuse
				}
				applied = append(applied, string(content))
				return nil
			},
		}}
		c := iottest.Connect(t, f.hub, f.dev, cfg)
		set := func(content string) {
			t.Helper()
			if _, err := f.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: iottest.ProductKey, Content: []byte(content)}, 0); err != nil {
				t.Fatal(err)
			}
		}
		push := func() {
			t.Helper()
			if _, err := f.hub.PushConfig(t.Context(), iottest.ProductKey, ""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if _, err := c.FetchConfig(t.Context()); err == nil {
			t.Error("fetched what was never set")
		}
		set(`{"a": 1}`)
		if got, err := c.FetchConfig(t.Context()); err != nil || string(got) != `{"a": 1}` {
			t.Errorf("fetched %s, %v", got, err)
		}
		push() // the same again is not applied again
		set(`{"a": 2}`)
		push()
		set(`{"bad": 1}`)
		push()
		if got, err := c.AppliedConfig(t.Context()); string(got) != `{"a": 2}` || len(applied) != 2 {
			t.Errorf("applied %v, kept %s %v", applied, got, err)
		}
	})
}

func TestUploadFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept memoryFiles
		h := iottest.NewHub(t, iottest.WithFiles(&kept))
		c := iottest.NewDevice(t, h, device.Handlers{})
		content := bytes.Repeat([]byte("0123456789"), 10_000)
		if name, err := c.UploadFile(t.Context(), "trace.bin", content); err != nil || name != "trace.bin" {
			t.Fatal(name, err)
		}
		if !bytes.Equal(kept.Bytes(), content) {
			t.Errorf("%d bytes kept", kept.Len())
		}
		if _, err := c.UploadFile(t.Context(), "../trace", content); err == nil {
			t.Error("a path is taken")
		}
	})
}

type memoryFiles struct{ bytes.Buffer }

func (m *memoryFiles) Create(context.Context, iot.DeviceID, string) (hub.File, error) { return m, nil }
func (m *memoryFiles) Close() error                                                   { return nil }
func (m *memoryFiles) Discard() error                                                 { return nil }
