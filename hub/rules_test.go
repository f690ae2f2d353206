// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/rules"
)

// What rules see: custom topics, and the documented topics of data forwarding.
func TestRuleTopics(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
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
				got = append(got, strings.ReplaceAll(d.Message.Topic, "a1TestPk0001", "PK")+" "+string(d.Payload))
			}
			return nil
		})
		for id, sql := range map[string]string{
			"custom": `SELECT t, attribute('room') AS room FROM "/+/+/user/update"`,
			"post":   `SELECT items.Level.value AS level FROM "/+/+/thing/event/property/post" WHERE items.Level.value > 3`,
			"status": `SELECT status, deviceName FROM "/as/mqtt/status/+/+"`,
			"life":   `SELECT action, deviceName() AS d FROM "/+/+/thing/lifecycle"`,
			"event":  `SELECT identifier, value.Code AS code FROM "/+/+/thing/event/+/post" WHERE identifier = 'Alarm'`,
			"reply":  `SELECT code, requestId FROM "/+/+/thing/downlink/reply/message"`,
		} {
			rule := rules.Rule{ID: id, SQL: sql, Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: sink}}}
			if err := runner.Put(t.Context(), rule); err != nil {
				t.Fatal(err)
			}
		}
		p.model(hub.Strict)
		d := p.register("lamp-1")
		if _, err := p.hub.SetTags(t.Context(), d.ID, map[string]string{"room": "hall"}); err != nil {
			t.Fatal(err)
		}
		c := p.connect(d)
		c.post("thing/event/property/post", `{"id":"1","params":{"Level":5}}`)
		c.post("thing/event/property/post", `{"id":"2","params":{"Level":3}}`)
		c.post("thing/event/Alarm/post", `{"id":"3","params":{"value":{"Code":3},"time":9}}`)
		for _, m := range [][2]string{{c.sys("thing/service/property/set_reply"), `{"id":"77","code":200,"data":{}}`}, {"/" + c.id.String() + "/user/update", `{"t":21.50}`}} {
			if _, err := c.publish(m[0], m[1], 1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.hub.DisableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // rules ask for tags, which go with the device
		if err := p.hub.DeleteDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []string{
			`/PK/lamp-1/thing/downlink/reply/message {"code":200,"requestId":"77"}`,
			`/PK/lamp-1/thing/event/Alarm/post {"identifier":"Alarm","code":3}`,
			`/PK/lamp-1/thing/event/property/post {"level":5}`,
			`/PK/lamp-1/thing/lifecycle {"action":"create","d":"lamp-1"}`,
			`/PK/lamp-1/thing/lifecycle {"action":"delete","d":"lamp-1"}`,
			`/PK/lamp-1/thing/lifecycle {"action":"disable","d":"lamp-1"}`,
			`/PK/lamp-1/user/update {"t":21.50,"room":"hall"}`,
			`/as/mqtt/status/PK/lamp-1 {"status":"offline","deviceName":"lamp-1"}`,
			`/as/mqtt/status/PK/lamp-1 {"status":"online","deviceName":"lamp-1"}`,
		}
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
			t.Error(diff)
		}
		mine := 0
		for e, err := range p.hub.Logs(t.Context(), hub.LogQuery{Device: d.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Operation == hub.OpForward {
				mine++
			}
		}
		if mine != len(want) {
			t.Errorf("%d log entries of rules, want %d", mine, len(want))
		}
	})
}

// A log entry is stored as encoding/json writes it.
func TestLogEntryIsJSON(t *testing.T) {
	for _, e := range []hub.LogEntry{
		{},
		{Time: time.UnixMilli(1772368205250).UTC(), MessageID: 7, Device: iot.DeviceID{Product: "p", Name: "d"}, Via: iot.DeviceID{Product: "g", Name: "w"}, Kind: hub.Upstream, Operation: hub.OpForward, Status: hub.Failure, Code: 460, Cause: hub.CauseSink, Topic: "/a/b", Detail: "it's \"quoted\" <&>\n\xff ü"},
		{Time: time.UnixMilli(1772368205000).UTC(), Device: iot.DeviceID{Product: "p", Name: "d"}, Kind: hub.Behaviour, Operation: hub.OpConnect, Status: hub.Success},
	} {
		var got, want hub.LogEntry
		if err := json.Unmarshal(hub.AppendEntry(nil, &e)[1:], &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(hub.EncodeJSON(e)[1:], &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
