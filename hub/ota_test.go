// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store/mem"
)

// withOTA is a hub that keeps firmware.
func withOTA(t *testing.T) hub.Config {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return hub.Config{OTA: &hub.OTA{Blobs: ota.NewFolder(root), BaseURL: "https://ota.example.com"}}
}

func (p *platform) upload(version, from, content string) ota.Package {
	p.t.Helper()
	pkg, err := p.hub.UploadPackage(p.t.Context(), ota.Package{Product: p.product.Key, Version: version, From: from}, strings.NewReader(content))
	if err != nil {
		p.t.Fatal(err)
	}
	return pkg
}

func (p *platform) campaign(c hub.Campaign) hub.Campaign {
	p.t.Helper()
	c.Product = p.product.Key
	if c.Packages == nil {
		c.Packages = []string{p.upload("2.0", "", "firmware 2.0").ID}
	}
	c, err := p.hub.CreateCampaign(p.t.Context(), c)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *platform) control(c hub.Campaign, a hub.CampaignAction) {
	p.t.Helper()
	if _, err := p.hub.ControlCampaign(p.t.Context(), c.ID, a, ""); err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait()
}

func (p *platform) stats(c hub.Campaign) ota.Stats {
	p.t.Helper()
	now, err := p.hub.Campaign(p.t.Context(), c.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return now.Stats
}

func (c *client) inform(version string) {
	c.p.t.Helper()
	c.otaUp("inform", fmt.Sprintf(`{"id":"1","params":{"version":%q}}`, version))
}

func (c *client) progress(step string) {
	c.p.t.Helper()
	c.otaUp("progress", fmt.Sprintf(`{"id":2, "params":{"step":%q,"desc":"words"}}`, step))
}

func (c *client) otaUp(kind, payload string) []iot.Message {
	c.p.t.Helper()
	answers, err := c.publish("/ota/device/"+kind+"/"+c.id.String(), payload, 1)
	if err != nil {
		c.p.t.Fatalf("%s: %v", kind, err)
	}
	synctest.Wait()
	return answers
}

// notices returns the upgrades that arrived.
func (c *client) notices() []ota.Notice {
	c.p.t.Helper()
	var list []ota.Notice
	for _, d := range c.take() {
		if d.Message.Topic != "/ota/device/upgrade/"+c.id.String() {
			continue
		}
		n, ok, err := ota.ParseNotice(d.Message.Payload)
		if !ok || err != nil {
			c.p.t.Errorf("notice %s: %v", d.Message.Payload, err)
		}
		list = append(list, n)
	}
	return list
}

func (c *client) notice() ota.Notice {
	c.p.t.Helper()
	list := c.notices()
	if len(list) != 1 {
		c.p.t.Fatalf("%d notices, want 1", len(list))
	}
	return list[0]
}

// fetch downloads a link as a device would.
func (p *platform) fetch(link string) (int, string) {
	p.t.Helper()
	w := httptest.NewRecorder()
	p.hub.Downloads().ServeHTTP(w, httptest.NewRequest(http.MethodGet, link, nil))
	return w.Code, w.Body.String()
}

func TestUpdateWay(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		c.inform("1.0")
		camp := p.campaign(hub.Campaign{})
		if n := c.notices(); len(n) != 0 {
			t.Fatalf("told before the start: %v", n)
		}
		p.control(camp, hub.StartCampaign)
		n := c.notice()
		if n.Version != "2.0" || n.Size != 12 || n.SHA256 == "" || n.MD5 == "" || !strings.HasPrefix(n.URL, "https://ota.example.com/ota/") {
			t.Errorf("notice %+v", n)
		}
		if code, body := p.fetch(n.URL); code != 200 || body != "firmware 2.0" {
			t.Errorf("download: %d %q", code, body)
		}
		c.progress("50")
		c.progress("100")
		if s := p.stats(camp); s.Installing != 1 {
			t.Errorf("stats %+v", s)
		}
		c.inform("2.0")
		if s := p.stats(camp); s.Succeeded != 1 {
			t.Errorf("stats %+v", s)
		}
		if code, _ := p.fetch(n.URL); code != 403 { // replayed after the update
			t.Errorf("link after the end: %d", code)
		}
		p.expectLog(hub.OpDownload, hub.CauseNoAuthorization)
		d, _ := p.hub.Device(t.Context(), c.id)
		if d.Versions["default"] != "2.0" {
			t.Errorf("versions %v", d.Versions)
		}
		done, _ := p.hub.Campaign(t.Context(), camp.ID)
		if done.Status != ota.Completed {
			t.Errorf("campaign is %s", done.Status)
		}
		var kinds []string
		for e, err := range p.hub.UpdateEvents(t.Context(), time.Time{}, false) {
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, string(e.Kind)+":"+string(e.Status)+e.State+e.Version)
		}
		want := []string{
			"version:1.0", "campaign:running", "job:notified2.0", "job:downloading2.0", "job:installing2.0", "version:2.0", "job:succeeded2.0", "campaign:completed",
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("events %v\nwant   %v", kinds, want)
		}
	})
}

// An offline device gets the notice when it comes back, with a fresh link; a
// notice repeated on connect carries a fresh link too.
func TestUpdateOfflineDevice(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		dev := p.register("lamp-1")
		camp := p.campaign(hub.Campaign{Plan: ota.Plan{Timeout: 72 * time.Hour}})
		p.control(camp, hub.StartCampaign)
		why, err := p.hub.ExplainUpdate(t.Context(), camp.ID, "lamp-1")
		if err != nil || !strings.Contains(why, "not connected") {
			t.Errorf("explained as %q, %v", why, err)
		}
		if s := p.stats(camp); s.Pending != 1 {
			t.Errorf("stats %+v", s)
		}
		c := p.connect(dev)
		synctest.Wait()
		first := c.notice()
		c.goodbye()
		time.Sleep(30 * time.Hour)
		if code, _ := p.fetch(first.URL); code != 410 {
			t.Errorf("link a day later: %d", code)
		}
		c = p.connect(dev)
		synctest.Wait()
		again := c.notice()
		if code, _ := p.fetch(again.URL); code != 200 || again.URL == first.URL {
			t.Errorf("fresh link: %d", code)
		}
		c.inform("1.0")
		if n := c.notices(); len(n) != 0 {
			t.Errorf("told twice in a session: %v", n)
		}
	})
}

func TestUpdateSurvivesRestart(t *testing.T) {
	cfg := withOTA(t)
	cfg.Store = mem.New()
	var camp hub.Campaign
	var dev hub.Device
	var link string
	bubble(t, cfg, func(t *testing.T, p *platform) {
		dev = p.register("lamp-1")
		p.register("lamp-2")
		c := p.connect(dev)
		c.inform("1.0")
		camp = p.campaign(hub.Campaign{Plan: ota.Plan{Timeout: time.Hour}})
		p.control(camp, hub.StartCampaign)
		link = c.notice().URL
		c.progress("30")
	})
	bubble(t, cfg, func(t *testing.T, p *platform) {
		if s := p.stats(camp); s.Downloading != 1 || s.Pending != 1 {
			t.Errorf("after the restart: %+v", s)
		}
		if code, _ := p.fetch(link); code != 200 {
			t.Errorf("link after the restart: %d", code)
		}
		c := p.connect(dev)
		synctest.Wait()
		c.notice()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if s := p.stats(camp); s.TimedOut != 1 {
			t.Errorf("after the time: %+v", s)
		}
		c.inform("2.0")
		if s := p.stats(camp); s.Succeeded != 1 {
			t.Errorf("in the end: %+v", s)
		}
		var jobs []string
		for j, err := range p.hub.CampaignJobs(t.Context(), camp.ID, "") {
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, j.Device+" "+j.State.String())
		}
		if want := []string{"lamp-1 succeeded", "lamp-2 pending"}; !slices.Equal(jobs, want) {
			t.Errorf("jobs %v, want %v", jobs, want)
		}
	})
}

func TestUpdateDelta(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		whole, delta := p.upload("2.0", "", "whole"), p.upload("2.0", "1.0", "delta")
		one, two := p.connect(p.register("lamp-1")), p.connect(p.register("lamp-2"))
		one.inform("1.0")
		two.inform("0.9")
		camp := p.campaign(hub.Campaign{Packages: []string{delta.ID, whole.ID}})
		p.control(camp, hub.StartCampaign)
		if n := one.notice(); !n.Diff || n.SHA256 != delta.SHA256 || n.From != "1.0" {
			t.Errorf("matching version: %+v", n)
		}
		if n := two.notice(); n.Diff || n.SHA256 != whole.SHA256 {
			t.Errorf("other version: %+v", n)
		}
		one.progress("-1")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := one.notice(); n.Diff || n.SHA256 != whole.SHA256 {
			t.Errorf("second attempt: %+v", n)
		}
	})
}

func TestUpdateRivals(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		first := p.campaign(hub.Campaign{})
		p.control(first, hub.StartCampaign)
		c.notice()
		polite := p.campaign(hub.Campaign{Packages: []string{p.upload("3.0", "", "three").ID}})
		p.control(polite, hub.StartCampaign)
		if n := c.notices(); len(n) != 0 || p.stats(polite).Cancelled != 1 {
			t.Errorf("a second campaign without Overwrite: %v %+v", n, p.stats(polite))
		}
		rude := p.campaign(hub.Campaign{Packages: []string{p.upload("4.0", "", "four").ID}, Plan: ota.Plan{Overwrite: true}})
		p.control(rude, hub.StartCampaign)
		if n := c.notice(); n.Version != "4.0" || p.stats(first).Cancelled != 1 {
			t.Errorf("a third with Overwrite: %+v %+v", n, p.stats(first))
		}
	})
}

func TestUpdateDynamic(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		camp := p.campaign(hub.Campaign{Plan: ota.Plan{Dynamic: true, From: []string{"1.0"}}, Targets: hub.Targets{Tags: map[string]string{"room": "hall"}}})
		p.control(camp, hub.StartCampaign)
		dev := p.register("late")
		if _, err := p.hub.SetTags(t.Context(), dev.ID, map[string]string{"room": "hall"}); err != nil {
			t.Fatal(err)
		}
		c, other := p.connect(dev), p.connect(p.register("other"))
		c.inform("0.9")
		other.inform("1.0")
		if s := p.stats(camp); s.Total != 0 {
			t.Errorf("wrong version or tag: %+v", s)
		}
		for name, want := range map[string]string{"late": "version 0.9 is not one", "other": "lacks the tags"} {
			if why, err := p.hub.ExplainUpdate(t.Context(), camp.ID, name); err != nil || !strings.Contains(why, want) {
				t.Errorf("%s: %q, %v", name, why, err)
			}
		}
		c.inform("1.0")
		synctest.Wait()
		c.notice()
		p.control(camp, hub.FinishCampaign)
		c.inform("2.0")
		if done, _ := p.hub.Campaign(t.Context(), camp.ID); done.Status != ota.Completed {
			t.Errorf("campaign is %s %+v", done.Status, done.Stats)
		}
	})
}
