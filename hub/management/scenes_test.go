// SPDX-License-Identifier: Apache-2.0

package management_test

import (
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/management"
	"github.com/openalink/iot/rules/scene"
)

// sceneOperations calls what concerns scenes.
func (s *server) sceneOperations(ok func(method, path, body string, out any)) {
	const heat = "/api/v1/scenes/heat"
	ok("PUT", "/api/v1/scenes/inner", `{"actions":[{"type":"set","device":"a1Http0001/one-1","items":{"Power":1}}]}`, nil)
	ok("PUT", heat, `{"name":"Heat","mode":"at-least-once",
		"triggers":[{"type":"property","device":"a1Http0001/+","property":"Temperature","op":">","value":38.5},{"type":"cron","cron":"0 7 * * mon-fri","zone":"UTC"}],
		"when":{"any":[{"device":"a1Http0001/one-1","property":"Mode","op":"=","value":"night"},{"all":[{"device":"a1Http0001/one-1","property":"On","op":"!=","value":true}]}]},
		"window":{"from":"22:00","to":"06:00","days":["mon"]},
		"actions":[{"type":"alarm","level":"warning","text":"hot"},{"type":"scene","scene":"inner"}]}`, nil)
	var list struct{ Items []scene.Entry }
	ok("GET", "/api/v1/scenes", "", &list)
	var one scene.Entry
	ok("GET", heat, "", &one)
	var why scene.Explanation
	ok("POST", heat+"/explain", `{"topic":"/a1Http0001/x/thing/event/property/post","productKey":"a1Http0001","deviceName":"x","time":"2026-01-05T23:00:00Z","payload":{"items":{"Temperature":{"value":40}}}}`, &why)
	if len(list.Items) != 2 || one.Name != "Heat" || !why.Triggered || !why.Window.Holds || why.Holds || len(why.When.Parts) != 2 || why.Actions[1].Inner == nil {
		s.t.Errorf("%+v, %+v, %+v", list, one, why)
	}
	ok("POST", heat+"/explain", `{"time":"2026-01-05T07:00:30Z"}`, &why)
	if why.Triggers[0].Fires || !why.Triggers[1].Fires {
		s.t.Errorf("%+v", why)
	}
	ok("PUT", heat, `{"actions":[{"type":"alarm","level":"warning","text":"hot"},{"type":"scene","scene":"inner"}]}`, nil)
	var o scene.Outcome
	ok("POST", heat+"/run", `{"productKey":"a1Http0001","deviceName":"x"}`, &o)
	if !o.Held || o.Done != 1 || !strings.Contains(o.Error, "scene inner") { // one-1 is offline
		s.t.Errorf("%+v", o)
	}
	var alarms struct{ Items []scene.Alarm }
	ok("GET", "/api/v1/alarms?scene=heat&from=1", "", &alarms)
	if len(alarms.Items) != 1 || alarms.Items[0].Text != "hot" || alarms.Items[0].Device.Name != "x" {
		s.t.Errorf("%+v", alarms)
	}
	var e struct{ Code string }
	if status := s.do("DELETE", "/api/v1/scenes/inner", "", &e); status != 409 || e.Code != "InUse" {
		s.t.Errorf("%d %s", status, e.Code)
	}
	ok("DELETE", heat, "", nil)
	ok("DELETE", "/api/v1/scenes/inner", "", nil)
}

func TestScenesNotServed(t *testing.T) {
	s := open(t, hub.NoLimits())
	handler, err := management.New(s.hub, management.Config{Keys: []auth.Secret{auth.NewSecret(key)}})
	if err != nil {
		t.Fatal(err)
	}
	s.handler = handler
	for _, path := range []string{"GET /api/v1/scenes", "GET /api/v1/scenes/a", "PUT /api/v1/scenes/a", "DELETE /api/v1/scenes/a", "POST /api/v1/scenes/a/run", "POST /api/v1/scenes/a/explain", "GET /api/v1/alarms"} {
		method, path, _ := strings.Cut(path, " ")
		var e struct{ Code string }
		if status := s.do(method, path, "{}", &e); status != 404 || e.Code != "NotServed" {
			t.Errorf("%s %s: %d %s", method, path, status, e.Code)
		}
	}
}
