// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/store/mem"
)

// What a device posts, that another one comes, and the clock set things going by
// way of the hub.
func TestScenes(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		st := mem.New()
		defer st.Close()
		runner, err := p.hub.Rules(t.Context(), rules.Config{Store: st})
		if err != nil {
			t.Fatal(err)
		}
		defer runner.Close()
		var mu sync.Mutex
		var outcomes []scene.Outcome
		set, err := scene.Open(t.Context(), scene.Config{Runner: runner, Store: st, Platform: p.hub.ForScenes(), Observe: func(o scene.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			outcomes = append(outcomes, o)
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		last := func() scene.Outcome {
			time.Sleep(time.Second) // the fan waits for the bubble too
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(outcomes) == 0 {
				return scene.Outcome{}
			}
			return outcomes[len(outcomes)-1]
		}
		for _, text := range []string{
			`{"id":"heat","mode":"at-least-once","triggers":[{"type":"property","device":"a1TestPk0001/room","property":"Level","op":">=","value":5}],
			  "when":{"device":"a1TestPk0001/window","property":"Open","op":"=","value":0},
			  "actions":[{"type":"set","device":"a1TestPk0001/fan-1","items":{"Power":1}},{"type":"set","device":"a1TestPk0001/gone","items":{"Power":1}}]}`,
			`{"id":"hello","triggers":[{"type":"presence","device":"a1TestPk0001/+","is":"online"}],"actions":[{"type":"alarm","text":"somebody came"}]}`,
			`{"id":"nightly","triggers":[{"type":"cron","cron":"0 3 * * *"}],"actions":[{"type":"call","device":"a1TestPk0001/fan-1","service":"Clean","args":{"Min":2}}]}`,
		} {
			var s scene.Scene
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatal(err)
			}
			if err := set.Put(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		clients := map[string]*client{}
		for _, name := range []string{"room", "window", "fan-1"} {
			clients[name] = p.connect(p.register(name))
			synctest.Wait() // scenes run side by side for devices
		}
		room, window, fan := clients["room"], clients["window"], clients["fan-1"]
		room.post("thing/event/property/post", `{"id":"1","params":{"Level":7}}`)
		if o := last(); o.Scene != "heat" || o.Held || o.Error != "" {
			t.Errorf("nobody said how the window is: %+v", o)
		}
		window.post("thing/event/property/post", `{"id":"1","params":{"Open":0}}`)
		fan.take()
		fan.answer(200, `{}`)
		room.post("thing/event/property/post", `{"id":"2","params":{"Level":5}}`)
		o := last()
		if !o.Held || o.Done != 1 || !strings.Contains(o.Error, "action 2 of scene heat: hub: unknown device") {
			t.Errorf("%+v", o)
		}
		if s, err := runner.Stats("scene.heat"); err != nil || s.Delivered != 1 || s.DeadLetter != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		fan.take()
		time.Sleep(time.Until(time.Date(2000, 1, 1, 3, 0, 0, 1, time.UTC)))
		fan.answer(200, `{"Cleaned":1}`)
		if o := last(); o.Scene != "nightly" || o.Done != 1 || o.Error != "" {
			t.Errorf("%+v", o)
		}
		fan.goodbye()
		if _, err := set.Run(t.Context(), "nightly", iot.DeviceID{}); !rules.IsPermanent(err) {
			t.Errorf("the fan is gone: %v", err)
		}
		var came []string
		for a, err := range set.Alarms(t.Context(), "hello", time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			came = append(came, a.Device.Name)
		}
		if diff := cmp.Diff([]string{"room", "window", "fan-1"}, came); diff != "" {
			t.Error(diff)
		}
	})
}
