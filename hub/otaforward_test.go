// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/rules"
)

// What rules see of updates (wire facts section 18.1).
func TestUpdateTopics(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		runner, err := p.hub.Rules(t.Context(), rules.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer runner.Close()
		var mu sync.Mutex
		var got []string
		sink := rules.SinkFunc(func(_ context.Context, batch []*rules.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range batch {
				got = append(got, d.Message.Topic+" "+string(d.Payload))
			}
			return nil
		})
		for id, sql := range map[string]string{
			"version":  `SELECT productKey, deviceName, moduleName, moduleVersion, messageCreateTime FROM "/+/+/ota/version/post"`,
			"progress": `SELECT deviceName, moduleName, step, desc, messageCreateTime FROM "/+/+/ota/progress/post"`,
			"upgrade":  `SELECT * FROM "/+/+/ota/upgrade"`,
			"status":   `SELECT * FROM "/+/+/+/ota/job/status"`,
		} {
			rule := rules.Rule{ID: id, SQL: sql, Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: sink}}}
			if err := runner.Put(t.Context(), rule); err != nil {
				t.Fatal(err)
			}
		}
		var words []string // what differs from run to run, and its name
		var clients []*client
		for _, name := range []string{"lamp-1", "lamp-2", "lamp-3"} {
			d := p.register(name)
			c := p.connect(d)
			c.inform("1.0")
			clients = append(clients, c)
			words = append(words, d.IotID, "IOT")
		}
		c := p.campaign(hub.Campaign{Plan: ota.Plan{Timeout: time.Hour}})
		p.control(c, hub.StartCampaign)
		clients[0].progress("50")
		clients[0].inform("2.0")
		clients[0].inform("2.0") // says nothing new, and is a version all the same
		clients[1].progress("-2")
		clients[1].progress("-3") // nobody asks any more
		time.Sleep(2 * time.Hour) // lamp-3 says nothing
		synctest.Wait()
		other := p.campaign(hub.Campaign{Packages: []string{p.upload("3.0", "", "firmware 3.0").ID}})
		p.control(other, hub.StartCampaign)
		p.control(other, hub.AbortCampaign)
		mu.Lock()
		defer mu.Unlock()
		words = append(words, c.ID, "JOB", other.ID, "JOB2", c.Packages[0], "PKG", other.Packages[0], "PKG2", "a1TestPk0001", "PK")
		r := strings.NewReplacer(words...)
		for i := range got {
			got[i] = r.Replace(got[i])
		}
		const at = "946684800000"
		version := func(d, v string) string {
			return `/PK/` + d + `/ota/version/post {"productKey":"PK","deviceName":"` + d + `","moduleName":"default","moduleVersion":"` + v + `","messageCreateTime":` + at + `}`
		}
		progress := func(d, step string) string {
			return `/PK/` + d + `/ota/progress/post {"deviceName":"` + d + `","moduleName":"default","step":"` + step + `","desc":"words","messageCreateTime":` + at + `}`
		}
		upgrade := func(d, status, at, desc string) string {
			return `/PK/` + d + `/ota/upgrade {"iotId":"IOT","productKey":"PK","deviceName":"` + d + `","status":"` + status + `","messageCreateTime":` + at +
				`,"srcVersion":"1.0","destVersion":"2.0","desc":"` + desc + `","jobId":"JOB","taskId":"JOB/` + d + `"}`
		}
		status := func(pkg, job, status, at string) string {
			return `/PK/` + pkg + `/` + job + `/ota/job/status {"productKey":"PK","moduleName":"default","packageId":"` + pkg + `","jobId":"` + job + `","status":"` + status + `","messageCreateTime":` + at + `}`
		}
		const hour, hours = "946688400000", "946692000000"
		want := []string{
			version("lamp-1", "1.0"), version("lamp-2", "1.0"), version("lamp-3", "1.0"), version("lamp-1", "2.0"), version("lamp-1", "2.0"),
			progress("lamp-1", "50"), progress("lamp-2", "-2"), progress("lamp-2", "-3"),
			upgrade("lamp-1", "SUCCEEDED", at, ""), upgrade("lamp-2", "FAILED", at, "words"), upgrade("lamp-3", "FAILED", hour, "the version was not reported within 1h0m0s"),
			status("PKG", "JOB", "PLANNED", at), status("PKG", "JOB", "IN_PROGRESS", at), status("PKG", "JOB", "COMPLETED", hour),
			status("PKG2", "JOB2", "PLANNED", hours), status("PKG2", "JOB2", "IN_PROGRESS", hours), status("PKG2", "JOB2", "CANCELED", hours),
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
			t.Error(diff)
		}
	})
}
