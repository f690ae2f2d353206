// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/webhook"
	"github.com/openalink/iot/store/mem"
)

const (
	rabbitLogin  = "username=lamp%26a1p&password=pw&vhost=%2F&client_id=" + escaped
	rabbitWrite  = "username=lamp%26a1p&vhost=%2F&resource=topic&name=amq.topic&permission=write&tags=&routing_key=.sys.a1p.lamp.x" + rabbitTo
	rabbitRead   = "username=lamp%26a1p&vhost=%2F&resource=topic&name=amq.topic&permission=read&tags=&routing_key=.sys.a1p.lamp.%23" + rabbitTo
	rabbitForged = "username=lamp%26a1p&password=px&vhost=%2F&client_id=" + escaped
)

func asks(t *testing.T, hook http.Handler, path, body, want string) {
	t.Helper()
	if w := ask(hook, "/"+secret+"/rabbitmq/"+path, nil, body); w.Body.String() != want {
		t.Errorf("%s: %s, want %s", path, w.Body, want)
	}
}

// TestRemember: a platform that starts again knows who is connected to the broker,
// what it subscribed to, and that what it showed is still good.
func TestRemember(t *testing.T) {
	st := mem.New()
	sealer, err := auth.NewSealer(auth.SealKey{Version: 1, Key: [32]byte{7}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := webhook.Config{Store: st, Sealer: sealer}
	start := func(a hal.Access) *webhook.Server {
		cfg.Access = a
		hook, _ := newHook(t, cfg)
		return hook
	}

	first := start(pickyAccess())
	asks(t, first, "topic", rabbitWrite, "deny")
	asks(t, first, "user", rabbitLogin, "allow")
	asks(t, first, "topic", rabbitRead, "allow")
	asks(t, first, "user", rabbitForged, "deny") // and spoils nothing
	_ = first.Close()
	for e, err := range st.Range(t.Context(), nil, nil) {
		if err != nil || bytes.Contains(e.Value, []byte("cHc=")) { // pw
			t.Errorf("kept %s = %s, %v", e.Key, e.Value, err)
		}
	}

	a := pickyAccess()
	second := start(a)
	asks(t, second, "topic", rabbitWrite, "allow")
	s := a.Next(t)
	if s.Request.ClientID != clientID || s.Request.UserName != "lamp&a1p" {
		t.Errorf("the platform was asked by %+v", s.Request)
	}
	if got := s.Changed(t).Subscribed; len(got) != 1 || got[0].Topic != "/sys/a1p/lamp/#" {
		t.Errorf("subscribed to %+v", got)
	}
	_ = second.Close()

	// What it showed is no good any more.
	third := start(&haltest.FakeAccess{Decide: func(context.Context, *haltest.FakeSession) (hal.Accepted, error) {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.NotAuthorized}
	}})
	asks(t, third, "topic", rabbitWrite, "deny")
	if n := third.Clients(); n != 0 {
		t.Errorf("%d clients", n)
	}
	_ = third.Close()
	fourth := start(pickyAccess())
	asks(t, fourth, "topic", rabbitWrite, "deny")
	asks(t, fourth, "user", rabbitLogin, "allow")
	fourth.End(clientID, hal.CauseClient)
	_ = fourth.Close()
	asks(t, start(pickyAccess()), "topic", rabbitWrite, "deny")
}
