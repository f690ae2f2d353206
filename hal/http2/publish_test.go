// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hub"
)

// TestRequests are the answers to what is not as it should be.
func TestRequests(t *testing.T) {
	d := openDoor(t, func(cfg *http2.Config) { cfg.MaxBody = 1000 })
	for _, c := range []struct {
		what    string
		headers []string
		status  int
	}{
		{"no name", []string{"x-auth-name", ""}, 400},
		{"keep-alive", []string{"x-keep-alive", "soon"}, 400},
		{"nothing signed", []string{"x-auth-name", "devicename"}, 400},
	} {
		if _, resp := d.ask(c.headers...); resp.StatusCode != c.status {
			t.Errorf("%s: %s", c.what, resp.Status)
		}
	}
	s := d.connect("x-clean-session", "0")
	if s.session.Request.CleanSession || s.resp.Header.Get("x-session-present") != "0" {
		t.Errorf("clean session %v", s.session.Request.CleanSession)
	}
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/h2/publish/large", strings.Repeat("x", 1001), 413},
		{"/h2/subscribe", "{}", 400},
		{"/h2/subscribe", "[", 400},
		{"/h2/unsubscribe", `{"filters":[{"topic":"/a"}]}`, 200},
		{"/h2/other", "", 404},
	} {
		if code, text := s.post(c.path, c.body); code != c.status {
			t.Errorf("%s: %d %s, want %d", c.path, code, text, c.status)
		}
	}
	for status, outcome := range map[int]error{
		200: nil, 422: &hal.RejectedError{}, 429: &hal.RejectedError{Err: hal.ErrThrottled},
	} {
		go func() { s.session.Received(t).Done(nil, outcome) }()
		if code, text := s.post("/h2/publish/a1product/device/user/update", "x"); code != status {
			t.Errorf("%v: %d %s", outcome, code, text)
		}
	}
	go func() { s.session.Received(t).Done(nil, errors.New("disk full")) }()
	if code, _ := s.post("/h2/publish/x", "x"); code != 500 {
		t.Errorf("not kept: %d", code)
	}
	s.expectEnd(hal.CauseNotKept)
	if code, _ := s.post("/h2/publish/x", "x"); code != 410 {
		t.Errorf("after the end: %d", code)
	}
}

// TestMessageID: the number of each message is its own, many at once.
func TestMessageID(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	d := &door{T: t, url: p.web.URL}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	d.web = &http.Client{Transport: tr}
	l := login(labSecret)
	s, resp := d.ask("x-auth-param-client-id", l.ClientID, "x-auth-param-user-name", l.UserName, "x-auth-param-password", l.Password.Reveal())
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	const messages = 50
	ids := make(chan string, messages)
	for i := range messages {
		go func() {
			code, text := s.post("/h2/publish/a1LabPk00001/lab_dev_01/user/update", strconv.Itoa(i))
			ids <- fmt.Sprint(code, " ", text, i)
		}()
	}
	seen := map[string]string{}
	for range messages {
		var code, i int
		var id string
		answer := <-ids
		if _, err := fmt.Sscanf(strings.NewReplacer(`{"messageId":"`, "", `"}`, " ").Replace(answer), "%d %s %d", &code, &id, &i); err != nil || code != 200 {
			t.Fatalf("%s: %v", answer, err)
		}
		seen[id] = strconv.Itoa(i)
	}
	for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: lab}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := seen[strconv.FormatInt(m.ID, 10)]; !bytes.Equal(m.Payload, []byte(want)) {
			t.Errorf("message %d is %q, its sender was told so of %q", m.ID, m.Payload, want)
		}
		delete(seen, strconv.FormatInt(m.ID, 10))
	}
	if len(seen) > 0 {
		t.Errorf("numbers of no message: %v", seen)
	}
}
