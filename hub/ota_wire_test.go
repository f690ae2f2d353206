// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

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
