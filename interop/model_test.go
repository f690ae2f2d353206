// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// lampModel is the thing model of the lamps.
const lampModel = `{"profile": {"productKey": "a1Interop01"},
"properties": [
 {"identifier": "Power", "accessMode": "rw", "dataType": {"type": "bool", "specs": {"0": "off", "1": "on"}}},
 {"identifier": "Temperature", "accessMode": "rw", "dataType": {"type": "float", "specs": {"min": "-20", "max": "60", "step": "0.5"}}},
 {"identifier": "Mode", "accessMode": "r", "dataType": {"type": "text", "specs": {"length": "12"}}},
 {"identifier": "Color", "accessMode": "rw", "dataType": {"type": "struct", "specs": [
   {"identifier": "Hue", "dataType": {"type": "int", "specs": {"min": "0", "max": "360"}}}]}}],
"events": [{"identifier": "alarm", "type": "alert", "outputData": [{"identifier": "level", "dataType": {"type": "int", "specs": {"min": "0", "max": "5"}}}]}],
"services": [
 {"identifier": "add", "callType": "async",
  "inputData": [{"identifier": "a", "dataType": {"type": "int"}}, {"identifier": "b", "dataType": {"type": "int"}}],
  "outputData": [{"identifier": "sum", "dataType": {"type": "int"}}]},
 {"identifier": "addNow", "callType": "sync",
  "inputData": [{"identifier": "a", "dataType": {"type": "int"}}, {"identifier": "b", "dataType": {"type": "int"}}],
  "outputData": [{"identifier": "sum", "dataType": {"type": "int"}}]}]}`

// TestSDKModelled has both SDKs of npm live with a thing model, given over HTTP
// while hubd runs.
func TestSDKModelled(t *testing.T) {
	for _, c := range clients[:2] {
		t.Run(c.name, func(t *testing.T) {
			h := startHubd(t)
			var evolved struct{ Applied bool }
			h.do(t, "PUT", "/products/"+productKey+"/model", json.RawMessage(lampModel), &evolved)
			if !evolved.Applied {
				t.Fatal("the model is not applied")
			}
			p := c.start(t, h, "tcp")
			p.want(t, "online")
			modelledPosts(t, h, p)
			modelledCalls(t, h, p)
			desiredOnReturn(t, c, h, p)
		})
	}
}

// refused wants the API to refuse a call that breaks the model.
func refused(t *testing.T, h *hubd, path string, body object) {
	t.Helper()
	var out object
	if err := h.try("POST", devicePath(lamp)+path, body, &out); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("%s %v: %v", path, body, err)
	}
}

func modelledPosts(t *testing.T, h *hubd, p *peer) {
	t.Helper()
	a := p.ask(t, object{"do": "post", "params": object{"Power": 1, "Temperature": 21.5, "Mode": "自动", "Color": object{"Hue": 120}}})
	wantOK(t, "answer to a good post", a)
	// Strict: what breaks the model is dropped, the rest kept, and nothing said.
	a = p.ask(t, object{"do": "post", "params": object{"Power": 7, "Temperature": 30, "Smell": "burnt", "Color": object{"Hue": 999}}})
	wantOK(t, "answer to a bad post", a)
	for name, want := range map[string]any{"Power": 1.0, "Temperature": 30.0, "Mode": "自动", "Smell": nil} {
		if got := h.property(t, lamp, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	found := 0
	for _, e := range h.logs(t, lamp) {
		if e.Cause == "thing-model" {
			found++
			if !strings.Contains(e.Detail, "/Power:") || !strings.Contains(e.Detail, "/Color/Hue:") || !strings.Contains(e.Detail, "/Smell:") {
				t.Errorf("log says %q", e.Detail)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d entries about the bad post, want 1", found)
	}
	wantOK(t, "answer to an event", p.ask(t, object{"do": "event", "name": "alarm", "params": object{"level": 3}}))
	if a := p.ask(t, object{"do": "event", "name": "alarm", "params": object{"level": 9}}); a.Code != 460 {
		t.Errorf("answer to an event out of range: %+v", a)
	}
	// Reject: nothing is kept, and the device is told why.
	var product object
	h.do(t, "PATCH", "/products/"+productKey, object{"validation": "reject"}, &product)
	a = p.ask(t, object{"do": "post", "params": object{"Power": 7, "Temperature": 10}})
	if a.Code != 460 || !strings.Contains(string(a.Data), "/Power") {
		t.Errorf("answer to a bad post: %+v %s", a, a.Data)
	}
	if got := h.property(t, lamp, "Temperature"); got != 30.0 {
		t.Errorf("Temperature is %v, want 30 still", got)
	}
	var history struct{ Items []struct{ Value any } }
	h.do(t, "GET", devicePath(lamp)+"/history?identifiers=Temperature", nil, &history)
	if len(history.Items) != 2 || history.Items[0].Value != 21.5 || history.Items[1].Value != 30.0 {
		t.Errorf("history %+v", history)
	}
}

func modelledCalls(t *testing.T, h *hubd, p *peer) {
	t.Helper()
	setProperty(t, h, p)
	asyncService(t, h, p)
	syncService(t, h, p)
	refused(t, h, "/properties", object{"params": object{"Temperature": 99}})
	refused(t, h, "/properties", object{"params": object{"Mode": "eco"}}) // read only
	refused(t, h, "/services/add", object{"params": object{"a": "two"}})
	refused(t, h, "/services/dance", object{"params": object{}})
	var history struct {
		Items []struct {
			Identifier string
			Output     struct{ Sum int }
		}
	}
	eventually(t, "both calls are in the history", func() bool {
		h.do(t, "GET", devicePath(lamp)+"/history?kind=service", nil, &history)
		return len(history.Items) == 2
	})
	if history.Items[0].Identifier != "add" || history.Items[1].Output.Sum != 42 {
		t.Errorf("history of services %+v", history)
	}
}

// desiredOnReturn wishes while the device is away.
func desiredOnReturn(t *testing.T, c client, h *hubd, p *peer) {
	t.Helper()
	goodbye(t, h, p)
	var desired map[string]struct{ State string }
	h.do(t, "PATCH", devicePath(lamp)+"/desired", object{"desired": object{"Power": 0}}, &desired)
	if desired["Power"].State != "pending" {
		t.Errorf("desired %v", desired)
	}
	p = c.start(t, h, "tcp")
	wantParams(t, p.want(t, "set"), map[string]int{"Power": 0})
	eventually(t, "the wish is applied", func() bool {
		h.do(t, "GET", devicePath(lamp)+"/desired", nil, &desired)
		return desired["Power"].State == "applied"
	})
}
