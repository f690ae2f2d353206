// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"errors"
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
	"github.com/openalink/iot/store"
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

// Row 18: what a device asks on /ota/device/request never comes back to it, only
// the answer. Row 19: the answer is on the same topic; thing/ota/firmware/get has
// its own.
func TestRow18And19RequestAnswers(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		dev := p.register("lamp-1")
		c, err := p.login(dev, loginOptions{clean: true})
		if err != nil {
			t.Fatal(err)
		}
		request := "/ota/device/request/" + c.id.String()
		c.subscribe(request, "/ota/device/upgrade/"+c.id.String(), c.sys("thing/ota/firmware/get_reply"))
		const asked = `{"id":"0","params":{"version":"1.0"}}`
		answers := c.otaUp("request", asked)
		if len(answers) != 1 || answers[0].Topic != request || !strings.HasSuffix(string(answers[0].Payload), `"code":"1000","message":"success","data":{}}`) {
			t.Errorf("nothing to do: %v", answers)
		}
		if r := c.post("thing/ota/firmware/get", `{"id":12, "params":{}}`); r.Code != 200 || string(r.Data) != "{}" {
			t.Errorf("nothing to do: %s", r.raw)
		}
		camp := p.campaign(hub.Campaign{})
		p.control(camp, hub.StartCampaign)
		pushed := c.notice()
		answers = c.otaUp("request", asked)
		n, ok, err := ota.ParseNotice(answers[0].Payload)
		if len(answers) != 1 || !ok || err != nil || n.Version != "2.0" || n.SHA256 != pushed.SHA256 {
			t.Errorf("answer %v %v", n, err)
		}
		r := c.post("thing/ota/firmware/get", `{"id":12, "params":{}}`)
		if n, ok, err := ota.ParseNoticeData(r.Data); !ok || err != nil || n.Version != "2.0" {
			t.Errorf("get_reply %s: %v", r.raw, err)
		}
		if r := c.post("thing/ota/firmware/get", `{"id":12, "params":{"module":"MCU"}}`); string(r.Data) != "{}" {
			t.Errorf("another module: %s", r.raw)
		}
		for _, d := range c.take() {
			if d.Message.Topic == request {
				t.Errorf("sent on the request topic: %s", d.Message.Payload)
			}
		}
	})
}

// A device that only asks, as over CoAP, begins with the answer.
func TestUpdateByAsking(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		dev := p.register("lamp-1")
		camp := p.campaign(hub.Campaign{Plan: ota.Plan{Rate: ota.Rate{PerMinute: 1}}})
		c := p.connect(dev)
		p.control(camp, hub.StartCampaign)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if answers := c.otaUp("request", `{"id":"0","params":{"version":"1.0"}}`); !strings.Contains(string(answers[0].Payload), `"version":"2.0"`) {
			t.Errorf("answer %s", answers[0].Payload)
		}
		if s := p.stats(camp); s.Notified != 1 {
			t.Errorf("stats %+v", s)
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

func TestUpdateAbortTakesNoticesBack(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		dev := p.register("lamp-1")
		c, err := p.login(dev, loginOptions{}) // hears nothing: the notice waits
		if err != nil {
			t.Fatal(err)
		}
		camp := p.campaign(hub.Campaign{})
		p.control(camp, hub.StartCampaign)
		p.control(camp, hub.AbortCampaign)
		c.subscribe("/ota/device/upgrade/" + c.id.String())
		synctest.Wait()
		if n := c.notices(); len(n) != 0 || p.stats(camp).Cancelled != 1 {
			t.Errorf("told after the abort: %v %+v", n, p.stats(camp))
		}
		for _, a := range []hub.CampaignAction{hub.AbortCampaign, hub.StartCampaign, "jump"} {
			if _, err := p.hub.ControlCampaign(t.Context(), camp.ID, a, ""); !errors.Is(err, hub.ErrInvalid) {
				t.Errorf("%s after the abort: %v", a, err)
			}
		}
	})
}

func TestUpdateOverMQTTNotice(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		pkg := p.upload("2.0", "", "over mqtt")
		p.control(p.campaign(hub.Campaign{Packages: []string{pkg.ID}, OverMQTT: true}), hub.StartCampaign)
		if n := c.notice(); n.URL != "" || n.Stream != pkg.Stream || n.File != 1 {
			t.Errorf("notice %+v", n)
		}
	})
}

func TestUpdateRefuses(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		for _, payload := range []string{`x`, `{}`, `{"id":1,"params":{"version":""}}`} {
			if _, err := c.publish("/ota/device/inform/"+c.id.String(), payload, 1); !isRejected(err) {
				t.Errorf("inform %s: %v", payload, err)
			}
		}
		for _, kind := range []string{"inform", "progress", "request"} {
			if _, err := c.publish("/ota/device/"+kind+"/a1TestPk0001/other", `{"id":1,"params":{"version":"1"}}`, 1); !isRejected(err) {
				t.Errorf("%s of another device: %v", kind, err)
			}
		}
		pkg := p.upload("2.0", "", "x")
		other := p.newProduct("a1OtherPk001")
		for what, bad := range map[string]hub.Campaign{
			"no package":      {Product: p.product.Key},
			"unknown package": {Product: p.product.Key, Packages: []string{"x"}},
			"other product":   {Product: other.Key, Packages: []string{pkg.ID}},
			"unknown product": {Product: "a1None00001", Packages: []string{pkg.ID}},
			"two whole ones":  {Product: p.product.Key, Packages: []string{pkg.ID, p.upload("2.0", "", "y").ID}},
			"only a delta":    {Product: p.product.Key, Packages: []string{p.upload("2.0", "1.0", "y").ID}},
			"bad plan":        {Product: p.product.Key, Packages: []string{pkg.ID}, Plan: ota.Plan{Retries: -1}},
			"bad ext":         {Product: p.product.Key, Packages: []string{pkg.ID}, Ext: json.RawMessage(`[1]`)},
			"unknown device":  {Product: p.product.Key, Packages: []string{pkg.ID}, Targets: hub.Targets{Devices: []string{"nobody"}}},
		} {
			if _, err := p.hub.CreateCampaign(t.Context(), bad); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
		if _, err := p.hub.UploadPackage(t.Context(), ota.Package{Product: p.product.Key, Version: "2", Size: 3}, strings.NewReader("x")); !errors.Is(err, ota.ErrDigest) {
			t.Errorf("wrong size: %v", err)
		}
		p.campaign(hub.Campaign{Packages: []string{pkg.ID}})
		if err := p.hub.DeletePackage(t.Context(), pkg.ID); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("deleting a package in use: %v", err)
		}
		for _, err := range []error{
			func() error { _, err := p.hub.Campaign(t.Context(), "x"); return err }(),
			func() error { _, err := p.hub.ControlCampaign(t.Context(), "x", hub.StartCampaign, ""); return err }(),
			func() error { _, err := p.hub.ExplainUpdate(t.Context(), "x", "y"); return err }(),
		} {
			if !errors.Is(err, hub.ErrUnknownCampaign) {
				t.Errorf("unknown campaign: %v", err)
			}
		}
	})
}

func TestConfigWay(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		// Blanks and a numeric id as old devices send them.
		const get = `{"id" : 7,"version":"1.0","params":{"configScope":"product","getType":"file"},"method":"thing.config.get"}`
		if r := c.post("thing/config/get", get); r.Code != 6710 {
			t.Errorf("none: %s", r.raw)
		}
		content := `{"interval": 5}`
		v1, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: []byte(content)}, 0)
		if err != nil || v1.Version != 1 {
			t.Fatal(v1, err)
		}
		r := c.post("thing/config/get", get)
		w, err := ota.ParseConfig(r.Data)
		if err != nil || r.ID != "7" || w.ID != v1.ID || w.Size != 15 || !strings.Contains(r.raw, `"signMethod":"Sha256"`) || !strings.Contains(r.raw, `"getType":"file"`) {
			t.Errorf("%s: %v", r.raw, err)
		}
		code, body := p.fetch(w.URL)
		if code != 200 || body != content || w.Verify([]byte(body)) != nil {
			t.Errorf("download: %d %q", code, body)
		}
		r = c.post("thing/config/get", strings.Replace(get, "file", "content", 1))
		if w, err := ota.ParseConfig(r.Data); err != nil || string(w.Content) != `{"interval":5}` && string(w.Content) != content {
			t.Errorf("inline: %s %v", r.raw, err)
		}
		// A device's own goes before, and its link is not another's.
		own, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Device: "lamp-1", Content: []byte(`{"own":1}`)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if w, _ := ota.ParseConfig(c.post("thing/config/get", get).Data); w.ID != own.ID {
			t.Errorf("own: %+v", w)
		}
		if n, err := p.hub.PushConfig(t.Context(), p.product.Key, ""); n != 1 || err != nil {
			t.Errorf("pushed to %d, %v", n, err)
		}
		synctest.Wait()
		pushed := c.take()
		if len(pushed) != 1 || pushed[0].Message.Topic != c.sys("thing/config/push") || !strings.Contains(string(pushed[0].Message.Payload), own.ID) ||
			!strings.Contains(string(pushed[0].Message.Payload), `"method":"thing.config.push"`) {
			t.Fatalf("push %v", pushed)
		}
		if _, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key}, 1); err != nil {
			t.Fatal(err)
		}
		other := p.connect(p.register("lamp-2"))
		if r := other.post("thing/config/get", get); r.Code != 6713 {
			t.Errorf("turned off: %s", r.raw)
		}
		back, err := p.hub.RollbackConfig(t.Context(), p.product.Key, "", 1)
		if err != nil || back.Version != 3 || string(back.Content) != content {
			t.Errorf("rolled back: %+v %v", back, err)
		}
		var versions []int
		for c, err := range p.hub.ConfigHistory(t.Context(), p.product.Key, "") {
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, c.Version)
		}
		if !slices.Equal(versions, []int{1, 2, 3}) {
			t.Errorf("history %v", versions)
		}
	})
}

func TestConfigRefuses(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		set := func(c hub.RemoteConfig, v int) error { _, err := p.hub.SetConfig(t.Context(), c, v); return err }
		pk := p.product.Key
		for _, c := range []struct {
			what string
			got  error
			want error
		}{
			{"no JSON", set(hub.RemoteConfig{Product: pk, Content: []byte(`{`)}, 0), hub.ErrInvalid},
			{"64 KB and more", set(hub.RemoteConfig{Product: pk, Content: []byte(`"` + strings.Repeat("x", 64<<10) + `"`)}, 0), hub.ErrTooLarge},
			{"unknown product", set(hub.RemoteConfig{Product: "a1None00001"}, 0), hub.ErrUnknownProduct},
			{"unknown device", set(hub.RemoteConfig{Product: pk, Device: "nobody"}, 0), hub.ErrUnknownDevice},
			{"wrong version", set(hub.RemoteConfig{Product: pk, Content: []byte(`{}`)}, 9), hub.ErrConflict},
			{"exactly 64 KB", set(hub.RemoteConfig{Product: pk, Content: []byte(`"` + strings.Repeat("x", 64<<10-2) + `"`)}, 0), nil},
			{"no such version", func() error { _, err := p.hub.RollbackConfig(t.Context(), pk, "", 7); return err }(), hub.ErrUnknownConfig},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
			}
		}
	})
}

// Row 38: an answer to a push that is no JSON, as old devices send it on failure,
// is passed over; the connection stays, and a readable one counts.
func TestRow38UnparsablePushReply(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		if _, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: []byte(`{"a":1}`)}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.PushConfig(t.Context(), p.product.Key, "lamp-1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		push := c.take()
		var call struct{ ID string }
		if len(push) != 1 || json.Unmarshal(push[0].Message.Payload, &call) != nil {
			t.Fatalf("push %v", push)
		}
		if _, err := c.publish(c.sys("thing/config/push_reply"), `"id":"`+call.ID+`","code":400,"data":{}`, 1); !isRejected(err) {
			t.Errorf("unparsable: %v", err)
		}
		if _, err := c.publish(c.sys("thing/config/push_reply"), `{"id":"`+call.ID+`","code":200,"data":{}}`, 1); err != nil {
			t.Errorf("readable: %v", err)
		}
		c.post("thing/event/property/post", `{"id":"1","params":{}}`)
		entry := p.expectLog(hub.OpCheckPayload, hub.CauseNotJSON)
		if !strings.HasSuffix(entry.Topic, "push_reply") {
			t.Errorf("log %+v", entry)
		}
	})
}

// A pushed configuration waits for one device that is away; only the newest.
func TestConfigPushWaits(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		dev := p.register("lamp-1")
		var last hub.RemoteConfig
		for i := range 3 {
			var err error
			last, err = p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: fmt.Appendf(nil, `{"a":%d}`, i)}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.hub.PushConfig(t.Context(), p.product.Key, "lamp-1"); err != nil {
				t.Fatal(err)
			}
		}
		c := p.connect(dev)
		synctest.Wait()
		if got := c.take(); len(got) != 1 || !strings.Contains(string(got[0].Message.Payload), last.ID) {
			t.Errorf("%d pushes: %v", len(got), got)
		}
	})
}

// Without a base URL configurations go inline and firmware over MQTT only.
func TestOTAWithoutURL(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		if p.hub.Downloads() != nil {
			t.Error("a handler without a URL")
		}
		if _, err := p.hub.UploadPackage(t.Context(), ota.Package{Product: p.product.Key, Version: "1"}, strings.NewReader("x")); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("upload: %v", err)
		}
		c := p.connect(p.register("lamp-1"))
		if _, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Content: []byte(`{"a":1}`)}, 0); err != nil {
			t.Fatal(err)
		}
		r := c.post("thing/config/get", `{"id":"1","params":{"configScope":"product","getType":"file"}}`)
		if w, err := ota.ParseConfig(r.Data); err != nil || w.Content == nil {
			t.Errorf("%s: %v", r.raw, err)
		}
	})
}

// A campaign's stored form is not confused by what it does not know.
func TestCampaignRecordDamaged(t *testing.T) {
	st := mem.New()
	var b store.Batch
	b.Put([]byte("ota/c/x"), []byte("\x01{"))
	if err := store.Commit(t.Context(), st, &b); err != nil {
		t.Fatal(err)
	}
	if h, err := hub.Open(t.Context(), hub.Config{Store: st}); err == nil {
		_ = h.Close()
		t.Error("a damaged campaign is not noticed")
	}
}

// A device that comes back while it is installing is not told at once: it may
// have gone back to its old firmware, and says so in a moment. One that says
// nothing is told again.
func TestUpdateAfterInstalling(t *testing.T) {
	for _, reports := range []bool{true, false} {
		bubble(t, withOTA(t), func(t *testing.T, p *platform) {
			dev := p.register("lamp-1")
			c := p.connect(dev)
			camp := p.campaign(hub.Campaign{})
			p.control(camp, hub.StartCampaign)
			c.notice()
			c.progress("100")
			c.goodbye()
			c = p.connect(dev)
			c.inform("1.0")
			if n := c.notices(); len(n) != 0 {
				t.Errorf("told at once: %v", n)
			}
			if reports {
				c.progress("-1")
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := c.notices(); (len(n) == 1) == reports {
				t.Errorf("reports %v: told %d times", reports, len(n))
			}
		})
	}
}

// Sub-devices take updates through the connection of their gateway.
func TestUpdateOfSubDevice(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		sub := p.register("sub-1")
		camp := p.campaign(hub.Campaign{Targets: hub.Targets{Devices: []string{"sub-1"}}})
		p.control(camp, hub.StartCampaign)
		gw := p.connect(p.newGateway("gw-1"))
		gw.join(sub)
		synctest.Wait()
		c := gw.as(sub.ID)
		n := c.notice()
		c.inform("1.0")
		c.progress("50")
		if s := p.stats(camp); s.Downloading != 1 {
			t.Errorf("stats %+v", s)
		}
		if code, _ := p.fetch(n.URL); code != 200 {
			t.Errorf("download: %d", code)
		}
		if answers := c.otaUp("request", `{"id":"0","params":{"version":"1.0"}}`); len(answers) != 1 || !strings.Contains(string(answers[0].Payload), `"version":"2.0"`) {
			t.Errorf("asked: %v", answers)
		}
		c.inform("2.0")
		if s := p.stats(camp); s.Succeeded != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A device that is deleted holds no campaign up, and leaves no configuration to
// the next of its name.
func TestUpdateOfDeletedDevice(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		dev := p.register("lamp-1")
		camp := p.campaign(hub.Campaign{})
		p.control(camp, hub.StartCampaign)
		if _, err := p.hub.SetConfig(t.Context(), hub.RemoteConfig{Product: p.product.Key, Device: "lamp-1", Content: []byte(`1`)}, 0); err != nil {
			t.Fatal(err)
		}
		if err := p.hub.DeleteDevice(t.Context(), dev.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if done, _ := p.hub.Campaign(t.Context(), camp.ID); done.Status != ota.Completed || done.Stats.Cancelled != 1 {
			t.Errorf("campaign %s %+v", done.Status, done.Stats)
		}
		c := p.connect(p.register("lamp-1"))
		if r := c.post("thing/config/get", `{"id":"1","params":{}}`); r.Code != 6710 {
			t.Errorf("configuration of another device: %s", r.raw)
		}
	})
}

// Those that are over need no package and no memory at the next start.
func TestCampaignsThatAreOver(t *testing.T) {
	cfg := withOTA(t)
	cfg.Store = mem.New()
	var camp hub.Campaign
	bubble(t, cfg, func(t *testing.T, p *platform) {
		p.register("lamp-1")
		camp = p.campaign(hub.Campaign{})
		p.control(camp, hub.StartCampaign)
		p.control(camp, hub.AbortCampaign)
		if err := p.hub.DeletePackage(t.Context(), camp.Packages[0]); err != nil {
			t.Fatal(err)
		}
	})
	bubble(t, cfg, func(t *testing.T, p *platform) {
		again, err := p.hub.Campaign(t.Context(), camp.ID)
		if err != nil || again.Status != ota.Aborted || again.Stats.Cancelled != 1 {
			t.Errorf("%+v, %v", again, err)
		}
		for j, err := range p.hub.CampaignJobs(t.Context(), camp.ID, "") {
			if err != nil || j.State != ota.Cancelled {
				t.Errorf("%+v, %v", j, err)
			}
		}
	})
}
