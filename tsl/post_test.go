// SPDX-License-Identifier: Apache-2.0

package tsl_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/openalink/iot/tsl"
)

func compiled(t testing.TB, name string) *tsl.Validator {
	t.Helper()
	v, err := tsl.Compile(model(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// verdicts renders what Post says, one property a word.
func verdicts(v *tsl.Validator, params string) string {
	var list []string
	err := v.Post([]byte(params), func(p tsl.Verdict) bool {
		s := fmt.Sprintf("%s=%s", p.Name, p.Value)
		if p.TimeMS != 0 {
			s += fmt.Sprintf("@%d", p.TimeMS)
		}
		if p.Reason != nil {
			s += " !" + p.Reason.Pointer + " " + p.Reason.Rule
		}
		list = append(list, s)
		return true
	})
	if err != nil {
		list = append(list, err.Error())
	}
	return strings.Join(list, "; ")
}

// TestRow9PropertiesBareOrWrapped is row 9 of wire facts section 1: values come
// bare or wrapped, mixed in one post, and a struct may own the keys of a wrapper.
func TestRow9PropertiesBareOrWrapped(t *testing.T) {
	v := compiled(t, "lamp.json")
	for _, tt := range []struct{ params, want string }{
		{`{"LightSwitch":1,"Brightness":{"value":50,"time":1524448722000}}`, "LightSwitch=1; Brightness=50@1524448722000"},
		{`{"Brightness":{"time":5,"value":50}}`, "Brightness=50@5"},
		{`{"Brightness":{"value":50}}`, "Brightness=50"},
		{`{"Brightness":{"value":50,"time":"5"}}`, `Brightness={"value":50,"time":"5"} !/Brightness type`},
		{`{"Brightness":{"value":50,"unit":"%"}}`, `Brightness={"value":50,"unit":"%"} !/Brightness type`},
		{`{"Brightness":{"value":500,"time":5}}`, "Brightness=500@5 !/Brightness range"},
		{`{"HSV":{"Hue":1,"Saturation":2}}`, `HSV={"Hue":1,"Saturation":2}`},
		{`{"HSV":{"value":{"Hue":1},"time":7}}`, `HSV={"Hue":1}@7`},
		{`{"Dimming":{"value":50,"time":700}}`, `Dimming={"value":50,"time":700}`},
		{`{"Dimming":{"value":50}}`, `Dimming={"value":50}`},
		{`{"Dimming":{"value":{"value":50,"time":700},"time":9}}`, `Dimming={"value":50,"time":700}@9`},
		{`{"Dimming":{"time":700}}`, `Dimming={"time":700}`},
		{`{"Dimming":{"value":500,"time":700}}`, `Dimming={"value":500,"time":700} !/Dimming/value range`},
		{`{"Smell":{"value":1,"time":2}}`, "Smell=1@2 !/Smell unknown"},
	} {
		if got := verdicts(v, tt.params); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.params, got, tt.want)
		}
	}
}

// TestBadValues is the documented verdict of everything that goes wrong.
func TestBadValues(t *testing.T) {
	v := compiled(t, "airconditioner.json")
	for _, tt := range []struct{ params, want string }{
		{`{}`, ""},
		{` { "Power" : 1 , "Mode":2 } `, "Power=1; Mode=2"},
		{`{"Power":1,"Power":0}`, "Power=1; Power=0 !/Power duplicate"},
		{`{"Filter":{"Hours":1,"Hours":2}}`, `Filter={"Hours":1,"Hours":2} !/Filter/Hours duplicate`},
		{`{"P\u006fwer":1}`, "Power=1"},
		{`{"Smell/~":1}`, "Smell/~=1 !/Smell~1~0 unknown"},
		{`{"Target":1e400}`, "Target=1e400 !/Target type"},
		{`{"Target":1e-400}`, "Target=1e-400 !/Target range"},
		{`{"Target":16.0000000000000000000000001}`, "Target=16.0000000000000000000000001"},
		{`{"Target":21.25}`, "Target=21.25 !/Target step"},
		{`{"Power":true}`, "Power=true !/Power value"},
		{`{"Label":"` + strings.Repeat(`\u00fc`, 33) + `"}`, `Label="` + strings.Repeat(`\u00fc`, 33) + `" !/Label length`},
		{`{"Label":"` + strings.Repeat(`\ud83d\ude00`, 16) + `"}`, `Label="` + strings.Repeat(`\ud83d\ude00`, 16) + `"`},
		{`{"Label":"` + strings.Repeat(`\ud83d\ude00`, 17) + `"}`, `Label="` + strings.Repeat(`\ud83d\ude00`, 17) + `" !/Label length`},
		{`{"Zones":[{"Name":"a","Open":1},{"Open":9}],"Power":1}`, `Zones=[{"Name":"a","Open":1},{"Open":9}] !/Zones/1/Open value; Power=1`},
		{`{"Curve":[1,2,]}`, "tsl: params are not an object"}, // the envelope does not pass either
		{`[]`, "tsl: params are not an object"},
		{``, "tsl: params are not an object"},
		{`{"Power":1`, "Power=1; tsl: params are not an object"},
		{`{"Power":1} x`, "Power=1; tsl: params are not an object"},
		{`{"Power":NaN}`, "Power=NaN !/Power value"},
		{`{"Filter":{"Hours":`, "tsl: params are not an object"},
	} {
		if got := verdicts(v, tt.params); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.params, got, tt.want)
		}
	}
}

func TestJoinedBlocks(t *testing.T) {
	m, err := tsl.Join(model(t, "airconditioner.json"), model(t, "pump_block.json"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = tsl.Parse(raw); err != nil {
		t.Fatal(err)
	}
	v, err := tsl.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	if got := verdicts(v, `{"Power":1,"Pump:Speed":9000,"Speed":1}`); got != "Power=1; Pump:Speed=9000 !/Pump:Speed range; Speed=1 !/Speed unknown" {
		t.Error(got)
	}
	if r := v.Event("Pump:Blocked", []byte(`{"Since":"1"}`)); r != nil {
		t.Error(r)
	}
	if r := v.Input("Pump:Prime", []byte(`{}`)); r != nil {
		t.Error(r)
	}
	if _, err := tsl.Join(m, model(t, "lamp.json")); err == nil {
		t.Error("a block without an id was joined")
	}
	many := model(t, "pump_block.json")
	for i := range tsl.MaxFeatures {
		p := many.Properties[0]
		p.Identifier = fmt.Sprintf("p%d", i)
		many.Properties = append(many.Properties, p)
	}
	_, err = tsl.Join(model(t, "lamp.json"), many)
	if e, ok := errors.AsType[*tsl.ModelError](err); !ok || e.Problems[0].Rule != "features" {
		t.Errorf("a block of 203 features: %v", err)
	}
}

func TestParseAll(t *testing.T) {
	const own = `{"properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"int"}}]}`
	const block = `{"functionBlockId":"B","properties":[{"identifier":"P","accessMode":"r","dataType":{"type":"int"}}]}`
	m, err := tsl.ParseAll([]byte(` [` + own + `,` + block + `]`))
	if err != nil || len(m.Properties) != 2 || m.Properties[1].Identifier != "B:P" {
		t.Fatalf("%+v, %v", m, err)
	}
	if m, err = tsl.ParseAll([]byte(own)); err != nil || len(m.Properties) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{``, ` `, `[]`, `[{}`, `[` + own + `,` + own + `]`, `[7]`, `[{},{},{},{},{},{}]`} {
		if _, err := tsl.ParseAll([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "tsl: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestShape wants what only the schema sees.
func TestShape(t *testing.T) {
	for _, tt := range []struct{ document, pointer, rule string }{
		{`[]`, "", "type"},
		{`{"properties":7}`, "/properties", "type"},
		{`{"properties":[{"identifier":"a","accessMode":"r"}]}`, "/properties/0/dataType/type", "type"},
		{`{"properties":[{"identifier":"a","accessMode":"r","required":"yes","dataType":{"type":"int"}}]}`, "/properties/0/required", "type"},
		{`{"properties":[{"identifier":"a","accessMode":"r","dataType":{"type":"text","specs":{"length":"long"}}}]}`, "/properties/0/dataType/specs/length", "pattern"},
		{`{"properties":[{"identifier":"a","accessMode":"r","dataType":{"type":"enum","specs":{"x":"y"}}}]}`, "/properties/0/dataType/specs", "pattern"},
		{`{"events":[{"identifier":"e","type":"info","outputData":{}}]}`, "/events/0/outputData", "type"},
		{`{"profile":7}`, "/profile", "type"},
	} {
		_, err := tsl.Parse([]byte(tt.document))
		e, ok := errors.AsType[*tsl.ModelError](err)
		if !ok || !strings.HasPrefix(e.Problems[0].Pointer, tt.pointer) || e.Problems[0].Rule != tt.rule {
			t.Errorf("%s: %v, want %s at %s", tt.document, err, tt.rule, tt.pointer)
		}
	}
	if _, err := tsl.Parse(make([]byte, 3<<20)); err == nil {
		t.Error("a document of 3 MiB was read")
	}
	if !json.Valid(tsl.DocumentSchema()) {
		t.Error("the schema is no JSON")
	}
}
