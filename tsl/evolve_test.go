// SPDX-License-Identifier: Apache-2.0

package tsl_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openalink/iot/tsl"
)

func TestEvolve(t *testing.T) {
	doc := func(property string) *tsl.Model {
		t.Helper()
		m, err := tsl.Parse([]byte(`{"properties":[` + property + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	p := func(access, data string) string {
		return fmt.Sprintf(`{"identifier":"P","accessMode":%q,"dataType":%s}`, access, data)
	}
	number := func(specs string) string { return `{"type":"float","specs":{` + specs + `}}` }
	for _, tt := range []struct {
		name, before, after string
		want                tsl.Effect
		changes             int
	}{
		{"same", p("rw", number(`"min":"0"`)), p("rw", number(`"min":0.0`)), tsl.Compatible, 0},
		{"added", ``, p("r", number(``)), tsl.Compatible, 1},
		{"added, may be set", ``, p("rw", number(``)), tsl.UpdateDevice, 1},
		{"removed", p("r", number(``)), ``, tsl.Breaking, 1},
		{"type", p("r", number(``)), p("r", `{"type":"text"}`), tsl.Breaking, 1},
		{"wider type", p("r", `{"type":"int"}`), p("r", number(``)), tsl.Compatible, 1},
		{"range widened", p("r", number(`"max":"5"`)), p("r", number(`"max":"6"`)), tsl.Compatible, 1},
		{"range widened, may be set", p("rw", number(`"max":"5"`)), p("rw", number(`"max":"6"`)), tsl.UpdateDevice, 1},
		{"range narrowed", p("r", number(`"max":"5"`)), p("r", number(`"max":"4"`)), tsl.Breaking, 1},
		{"bound added", p("r", number(``)), p("r", number(`"min":"4"`)), tsl.Breaking, 1},
		{"bound dropped", p("r", number(`"min":"4"`)), p("r", number(``)), tsl.Compatible, 1},
		{"step refined", p("r", number(`"step":"0.5"`)), p("r", number(`"step":"0.25"`)), tsl.Compatible, 1},
		{"step changed", p("r", number(`"step":"0.5"`)), p("r", number(`"step":"0.3"`)), tsl.Breaking, 1},
		{"unit", p("r", number(`"unit":"V"`)), p("r", number(`"unit":"mV"`)), tsl.Breaking, 1},
		{"may be set now", p("r", number(``)), p("rw", number(``)), tsl.UpdateDevice, 1},
		{"may not be set", p("rw", number(``)), p("r", number(``)), tsl.Breaking, 1},
		{"word added", p("r", `{"type":"enum","specs":{"1":"a"}}`), p("r", `{"type":"enum","specs":{"1":"a","2":"b"}}`), tsl.Compatible, 1},
		{"word removed", p("r", `{"type":"enum","specs":{"1":"a","2":"b"}}`), p("r", `{"type":"enum","specs":{"1":"a"}}`), tsl.Breaking, 1},
		{"word renamed", p("r", `{"type":"enum","specs":{"1":"a"}}`), p("r", `{"type":"enum","specs":{"1":"b"}}`), tsl.Compatible, 1},
		{"text shorter", p("r", `{"type":"text"}`), p("r", `{"type":"text","specs":{"length":"9"}}`), tsl.Breaking, 1},
		{"array longer", p("r", `{"type":"array","specs":{"size":"3","item":{"type":"int"}}}`), p("r", `{"type":"array","specs":{"size":"4","item":{"type":"int"}}}`), tsl.Compatible, 1},
		{"struct member", p("r", `{"type":"struct","specs":[{"identifier":"a","dataType":{"type":"int"}}]}`), p("r", `{"type":"struct","specs":[{"identifier":"b","dataType":{"type":"int"}}]}`), tsl.Breaking, 2},
	} {
		got := tsl.Evolve(doc(tt.before), doc(tt.after))
		if got.Effect() != tt.want || len(got) != tt.changes {
			t.Errorf("%s: %v: %+v, want %v by %d changes", tt.name, got.Effect(), got, tt.want, tt.changes)
		}
	}
}

func TestEvolveFeatures(t *testing.T) {
	before, after := model(t, "meter.json"), model(t, "meter.json")
	after.Events = after.Events[:1]
	after.Events[0].Type = tsl.Fault
	after.Services[0].Input.Params[0].Data = tsl.DataType{Type: tsl.Text}
	after.Services[1].Call = tsl.Sync
	after.Services = append(after.Services, tsl.Service{Identifier: "Dance", Call: tsl.Sync})
	var got []string
	for _, c := range tsl.Evolve(before, after) {
		got = append(got, fmt.Sprintf("%s: %s (%s)", c.Member, c.Message, c.Effect))
	}
	want := []string{
		"events/PowerLoss: type was alert, is error (compatible)",
		"events/Tamper: removed (breaking)",
		"services/ReadDay/in/Day: type was date, is text (breaking)",
		"services/Clear: call type was async, is sync (update device)",
		"services/Dance: added (update device)",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if tsl.Evolve(nil, before).Effect() != tsl.UpdateDevice {
		t.Error("a first model")
	}
}
