// SPDX-License-Identifier: Apache-2.0

package scene_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/rules/sql"
)

func TestExplain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.values["hall.Mode"] = `"day"`
		w.put(`{"id":"inner","when":{"property":"Power","op":"=","value":1},"actions":[{"type":"call","service":"Close"}]}`)
		w.put(`{"id":"heat",
			"triggers":[{"type":"property","device":"a1Product01/+","property":"Temperature","op":">","value":28}],
			"when":{"any":[{"device":"a1Product01/hall","property":"Mode","op":"=","value":"night"},{"property":"Power","op":"<","value":2}]},
			"window":{"from":"22:00","to":"06:00","days":["sat"],"zone":"Europe/Berlin"},
			"actions":[{"type":"set","items":{"Fan":1}},{"type":"scene","scene":"inner"}]}`)
		m := &sql.Message{Topic: post, Device: iot.DeviceID{Product: "a1Product01", Name: "bath"}, Payload: []byte(temperature("30")), Time: time.Date(2000, 1, 1, 22, 30, 0, 0, time.UTC)}
		explain := func(want string) {
			t.Helper()
			e, err := w.set.Explain(t.Context(), "heat", scene.Trigger{Message: m})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			want = strings.NewReplacer("\n", "", "\t", "").Replace(want)
			if diff := cmp.Diff(want, strings.ReplaceAll(strings.ReplaceAll(string(raw), `\u003e`, ">"), `\u003c`, "<")); diff != "" {
				t.Error(diff)
			}
		}
		explain(`{"scene":"heat",
			"triggers":[{"type":"property","fires":true,"rule":"scene.heat",
				"sql":"SELECT * FROM '/a1Product01/+/thing/event/property/post' WHERE items.` + "`Temperature`" + `.value > 28",
				"statement":{"topic":true,"json":true,"passed":true,"conditions":[{"text":"items.Temperature.value > 28","result":"true","reason":"items.Temperature.value is 30"}],
					"row":"{\"items\":{\"Temperature\":{\"value\":30}}}"}}],
			"triggered":true,
			"window":{"holds":true,"local":"Sat 2000-01-01 23:30 CET"},
			"when":{"holds":false,"join":"any","parts":[
				{"holds":false,"device":"a1Product01/hall","text":"Mode = 'night'","result":"false","reason":"Mode is \"day\""},
				{"holds":false,"device":"a1Product01/bath","text":"Power < 2","result":"unknown","reason":"Power is NULL"}]},
			"holds":false,"runs":false,
			"actions":[{"type":"set","device":"a1Product01/bath","items":{"Fan":1}},
				{"type":"scene","scene":"inner","inner":{"scene":"inner","triggered":true,
					"when":{"holds":false,"device":"a1Product01/bath","text":"Power = 1","result":"unknown","reason":"Power is NULL"},
					"holds":false,"runs":false,"actions":[{"type":"call","device":"a1Product01/bath","service":"Close"}]}}]}`)
		w.values["bath.Power"] = "1"
		for _, c := range []struct {
			payload string
			at      time.Time
			runs    bool
		}{
			{temperature("30"), m.Time, true},
			{temperature("28"), m.Time, false},
			{temperature("30"), m.Time.Add(6 * time.Hour), true},   // Sunday 05:30, of Saturday's night
			{temperature("30"), m.Time.Add(7 * time.Hour), false},  // Sunday 06:30
			{temperature("30"), m.Time.Add(24 * time.Hour), false}, // Sunday's night
		} {
			m.Payload, m.Time = []byte(c.payload), c.at
			e, err := w.set.Explain(t.Context(), "heat", scene.Trigger{Message: m})
			if err != nil || e.Runs != c.runs || e.Actions[1].Inner.Runs != true {
				t.Errorf("%s at %v: %+v, %v", c.payload, c.at, e, err)
			}
		}
		w.put(`{"id":"time","triggers":[{"type":"cron","cron":"15 * * * *"},{"type":"every","every":"10m"}],"actions":[{"type":"alarm","text":"t"}]}`)
		for minute, want := range map[int][2]bool{15: {true, false}, 20: {false, true}, 25: {false, false}} {
			e, err := w.set.Explain(t.Context(), "time", scene.Trigger{Time: time.Date(2026, 1, 1, 5, minute, 0, 0, time.UTC)})
			if err != nil || [2]bool{e.Triggers[0].Fires, e.Triggers[1].Fires} != want || e.Runs != (want[0] || want[1]) {
				t.Errorf("minute %d: %+v, %v", minute, e, err)
			}
		}
		w.want("") // nothing was done
		w.failing("Mode", errors.New("the store is gone"))
		if _, err := w.set.Explain(t.Context(), "heat", scene.Trigger{Message: m}); err == nil {
			t.Error("explained without values")
		}
	})
}

func TestRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const act = `"actions":[{"type":"alarm","text":"t"}]`
		trigger := func(s string) string { return `{"id":"s","triggers":[` + s + `],` + act + `}` }
		when := func(s string) string { return `{"id":"s","when":` + s + `,` + act + `}` }
		window := func(s string) string { return `{"id":"s","window":` + s + `,` + act + `}` }
		action := func(s string) string { return `{"id":"s","actions":[` + s + `]}` }
		for text, want := range map[string]string{
			`{"id":"a.b",` + act + `}`:                                        "id",
			`{"id":"a:b",` + act + `}`:                                        "id",
			`{"id":"",` + act + `}`:                                           "id",
			`{"id":"s","actions":[]}`:                                         "0 actions",
			`{"id":"s","mode":"sure",` + act + `}`:                            "mode",
			trigger(`{"type":"nothing"}`):                                     "message, property",
			trigger(`{"type":"message"}`):                                     "sql is missing",
			trigger(`{"type":"message","every":"1s"}`):                        "every does not belong",
			trigger(`{"type":"cron","cron":"* * * *"}`):                       "five fields",
			trigger(`{"type":"every","every":"10ms"}`):                        "1s to",
			trigger(`{"type":"every","every":"soon"}`):                        "1s to",
			trigger(`{"type":"presence","device":"d"}`):                       "slash",
			trigger(`{"type":"presence","device":"p'/d"}`):                    "device",
			trigger(`{"type":"presence","device":"a1Product01/d","is":"up"}`): "online or offline",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A B","op":">","value":1}`):         "property",
			trigger("{\"type\":\"property\",\"device\":\"a1Product01/d\",\"property\":\"A`\",\"op\":\">\"}"):    "property",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A[x]","op":">","value":1}`):        "number in brackets",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A","op":"~","value":1}`):           "op",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A","op":"=","value":null}`):        "value",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A","op":"=","value":[1]}`):         "value",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A","op":"=","value":"a\\"}`):       "backslashes",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A","op":"any","value":1}`):         "no value",
			trigger(`{"type":"property","device":"a1Product01/d","property":"A","op":"=","value":1,"is":"on"}`): "is does not belong",
			when(`{}`):                        "property",
			when(`{"property":"A","op":">"}`): "value",
			when(`{"property":"A","op":">","value":1,"all":[{"property":"A","op":">","value":1}]}`):                                 "no comparison",
			when(`{"any":[{"property":"A","op":">","value":1}],"all":[{"property":"A","op":">","value":1}]}`):                       "not both",
			when(strings.Repeat(`{"all":[`, 10) + `{}` + strings.Repeat(`]}`, 10)):                                                  "deep",
			when(`{"any":[` + strings.Repeat(`{"property":"A","op":">","value":1},`, 32) + `{"property":"A","op":">","value":1}]}`): "comparisons",
			when(`{"property":"A","op":">","value":"x"}`):                                                                           "",
			window(`{"from":"10:00"}`):                                     "belong together",
			window(`{"from":"9:00","to":"10:00"}`):                         "hours and minutes",
			window(`{"from":"25:00","to":"10:00"}`):                        "hours and minutes",
			window(`{"from":"10:00","to":"10:00"}`):                        "empty",
			window(`{"days":["someday"]}`):                                 "weekday",
			window(`{"zone":"Mars/Olympus"}`):                              "zone",
			action(`{"type":"set","items":{}}`):                            "items",
			action(`{"type":"set","items":[1]}`):                           "items",
			action(`{"type":"call","service":"a/b"}`):                      "service",
			action(`{"type":"call","service":"a","args":[]}`):              "args",
			action(`{"type":"scene"}`):                                     "scene is missing",
			action(`{"type":"alarm"}`):                                     "text",
			action(`{"type":"alarm","text":"t","device":"a1Product01/d"}`): "device does not belong",
			action(`{"type":"mail"}`):                                      "set, call",
		} {
			err := w.set.Put(t.Context(), read(t, text))
			if want == "" && err != nil || want != "" && (!errors.Is(err, scene.ErrInvalid) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
		}
		if got := len(w.runner.Rules()); got != 0 {
			t.Errorf("%d rules are left of what was refused", got)
		}
	})
}
