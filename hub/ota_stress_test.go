// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store/bolt"
)

// Devices come and go while a campaign runs and an application looks on; every
// job ends, and what is durable is what the hub says.
func TestUpdateUnderChange(t *testing.T) {
	st, err := bolt.Open(filepath.Join(t.TempDir(), "hub.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	cfg := withOTA(t)
	cfg.Store, cfg.Limits = st, limitless()
	p := open(t, cfg)
	defer p.hub.Close()
	const n = 60
	var devices []hub.Device
	for i := range n {
		devices = append(devices, p.register(fmt.Sprintf("lamp-%d", i)))
	}
	camp := p.campaign(hub.Campaign{Plan: ota.Plan{
		Concurrent: 20, Retries: 20, RetryAfter: time.Millisecond, Stages: []ota.Stage{{Percent: 30}},
	}})
	if _, err := p.hub.ControlCampaign(t.Context(), camp.ID, hub.StartCampaign, ""); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, dev := range devices {
		wg.Go(func() { restless(t, p, camp, dev) })
	}
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		for range 50 {
			for range p.hub.CampaignJobs(t.Context(), camp.ID, "") {
			}
			_, _ = p.hub.ExplainUpdate(t.Context(), camp.ID, "lamp-1")
			_, _ = p.hub.Campaigns(t.Context(), "")
		}
	}()
	wg.Wait()
	<-looking
	counts := map[ota.State]int{}
	for j, err := range p.hub.CampaignJobs(t.Context(), camp.ID, "") {
		if err != nil {
			t.Fatal(err)
		}
		counts[j.State]++
	}
	if s := p.stats(camp); counts[ota.Succeeded] != n || s.Succeeded != n {
		t.Errorf("durable %v, in memory %+v", counts, s)
	}
}

// restless connects, says something, and leaves, until its update is done.
func restless(t *testing.T, p *platform, camp hub.Campaign, dev hub.Device) {
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		c, err := p.login(dev, loginOptions{MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}, clean: rand.IntN(2) == 0})
		if err != nil {
			t.Error(err)
			return
		}
		say := func(kind, payload string) {
			_, _ = c.publish("/ota/device/"+kind+"/"+dev.ID.String(), payload, iot.AtLeastOnce)
		}
		say("inform", `{"id":"1","params":{"version":"1.0"}}`)
		told := false
		for range 20 {
			if told = told || len(c.take()) > 0; told {
				break
			}
			time.Sleep(time.Millisecond)
		}
		switch {
		case !told:
		case rand.IntN(3) == 0:
			say("progress", `{"id":2,"params":{"step":"-2","desc":"cut"}}`)
		case rand.IntN(2) == 0:
			say("progress", `{"id":2,"params":{"step":"50","desc":""}}`)
		default:
			say("inform", `{"id":"1","params":{"version":"2.0"}}`)
			c.session.Close("client")
			return
		}
		c.session.Close("client")
	}
	why, _ := p.hub.ExplainUpdate(t.Context(), camp.ID, dev.ID.Name)
	t.Errorf("%s does not end: %s", dev.ID.Name, why)
}
