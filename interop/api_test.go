// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// api is the management API as an application without Go sees it.
type api struct {
	t    *testing.T
	base string
}

type object = map[string]any

// answer is a device's answer to a call.
type answer struct {
	Code    int
	Message string
	Data    json.RawMessage
}

// try sends a request and decodes the answer into out.
func (a api) try(method, path string, body, out any) error {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.base+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	return json.Unmarshal(text, out)
}

func (a api) do(t *testing.T, method, path string, body, out any) {
	t.Helper()
	if err := a.try(method, path, body, out); err != nil {
		t.Fatal(err)
	}
}

func devicePath(d device) string { return "/devices/" + d.id.String() }

// setProperties asks the device to set properties and returns its answer.
func (a api) setProperties(t *testing.T, d device, params object) (out answer) {
	t.Helper()
	a.do(t, "POST", devicePath(d)+"/properties", object{"params": params}, &out)
	return out
}

func (a api) invoke(t *testing.T, d device, service string, params object, async bool) (out answer) {
	t.Helper()
	a.do(t, "POST", devicePath(d)+"/services/"+service, object{"params": params, "async": async}, &out)
	return out
}

// rrpc calls the device; inner is the custom topic, or empty.
func (a api) rrpc(t *testing.T, d device, payload, inner string) string {
	t.Helper()
	var out struct{ Payload []byte }
	a.do(t, "POST", devicePath(d)+"/rrpc", object{"payload": []byte(payload), "topic": inner}, &out)
	return string(out.Payload)
}

func (a api) publish(t *testing.T, topic, payload string, qos int) {
	t.Helper()
	var out object
	a.do(t, "POST", "/pub", object{"topic": topic, "payload": []byte(payload), "qos": qos}, &out)
}

// property returns the latest value of a property.
func (a api) property(t *testing.T, d device, name string) any {
	t.Helper()
	var out map[string]struct{ Value any }
	a.do(t, "GET", devicePath(d)+"/properties", nil, &out)
	return out[name].Value
}

func (a api) tags(t *testing.T, d device) (own, system map[string]string) {
	t.Helper()
	var out struct{ Tags, SystemTags map[string]string }
	a.do(t, "GET", devicePath(d), nil, &out)
	return out.Tags, out.SystemTags
}

// state is online, offline or the like, and why the last connection ended.
func (a api) state(t *testing.T, d device) (state, cause string) {
	t.Helper()
	var out struct {
		State string
		Last  struct{ Cause string }
	}
	a.do(t, "GET", devicePath(d)+"/presence", nil, &out)
	return out.State, out.Last.Cause
}

// message is an uplink in the platform's message log.
type message struct {
	Topic   string
	Payload []byte
	QoS     int
}

func (a api) messages(t *testing.T, d device) []message {
	t.Helper()
	var out struct{ Items []message }
	a.do(t, "GET", "/messages?limit=1000&"+deviceQuery(d), nil, &out)
	return out.Items
}

type logEntry struct{ Operation, Status, Cause, Topic, Detail string }

func (a api) logs(t *testing.T, d device) []logEntry {
	t.Helper()
	var out struct{ Items []logEntry }
	a.do(t, "GET", "/logs?limit=1000&"+deviceQuery(d), nil, &out)
	return out.Items
}

func deviceQuery(d device) string {
	return url.Values{"productKey": {d.id.Product}, "deviceName": {d.id.Name}}.Encode()
}

// eventually asks until ok holds; what a device publishes with QoS 0 shows up a
// moment later.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
