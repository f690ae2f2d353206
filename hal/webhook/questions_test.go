// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/webhook"
	"github.com/openalink/iot/topic"
)

// picky is a session that knows its own topics only.
type picky struct{ *haltest.FakeSession }

func (picky) Authorize(_ topic.Operation, name string) error {
	if strings.HasPrefix(name, "/sys/a1p/lamp/") {
		return nil
	}
	return &hal.RejectedError{}
}

// pickyAccess lets in who knows the password.
func pickyAccess() *haltest.FakeAccess {
	return &haltest.FakeAccess{Decide: func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		if p, ok := s.Request.Credential.(auth.Password); !ok || string(p.Bytes()) != "pw" {
			return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials}
		}
		return hal.Accepted{Session: picky{s}}, nil
	}}
}

// question is a request as a broker sends it, and the answer it must get.
type question struct {
	name   string
	path   string
	header http.Header
	body   string
	status int // 0 is 200
	want   string
}

const (
	clientID = "a1p.lamp|securemode=3,signmethod=hmacsha256|"
	escaped  = "a1p.lamp%7Csecuremode%3D3%2Csignmethod%3Dhmacsha256%7C"
	rabbitID = "&tags=&client_id=" + escaped
	rabbitTo = "&variable_map.client_id=" + escaped + "&variable_map.username=lamp%26a1p&variable_map.vhost=%2F"
)

func verne(hook string) http.Header { return http.Header{"Vernemq-Hook": {hook}} }

// conversations are what brokers ask while a device comes, publishes and
// subscribes, in order. RabbitMQ's are recorded from 3.10.
var conversations = map[string][]question{
	"RabbitMQ": {
		{name: "stranger's vhost", path: "/rabbitmq/vhost", body: "username=lamp%26a1p&vhost=%2F&ip=127.0.0.1" + rabbitID, want: "deny"},
		{name: "wrong password", path: "/rabbitmq/user", body: "username=lamp%26a1p&password=px&vhost=%2F&client_id=" + escaped, want: "deny"},
		{name: "login", path: "/rabbitmq/user", body: "username=lamp%26a1p&password=pw&vhost=%2F&client_id=" + escaped, want: "allow"},
		{name: "vhost", path: "/rabbitmq/vhost", body: "username=lamp%26a1p&vhost=%2F&ip=127.0.0.1" + rabbitID, want: "allow"},
		{name: "another's vhost", path: "/rabbitmq/vhost", body: "username=door%26a1p&vhost=%2F&ip=127.0.0.1" + rabbitID, want: "deny"},
		{name: "own queue", path: "/rabbitmq/resource", body: "username=lamp%26a1p&vhost=%2F&resource=queue&name=mqtt-subscription-" + escaped + "qos1&permission=configure" + rabbitID, want: "allow"},
		{name: "another's queue", path: "/rabbitmq/resource", body: "username=lamp%26a1p&vhost=%2F&resource=queue&name=mqtt-subscription-platqos1&permission=read" + rabbitID, want: "deny"},
		{name: "exchange", path: "/rabbitmq/resource", body: "username=lamp%26a1p&vhost=%2F&resource=exchange&name=amq.topic&permission=write" + rabbitID, want: "allow"},
		{name: "making the exchange", path: "/rabbitmq/resource", body: "username=lamp%26a1p&vhost=%2F&resource=exchange&name=amq.topic&permission=configure" + rabbitID, want: "deny"},
		{name: "another exchange", path: "/rabbitmq/resource", body: "username=lamp%26a1p&vhost=%2F&resource=exchange&name=amq.fanout&permission=write" + rabbitID, want: "deny"},
		{name: "publish", path: "/rabbitmq/topic", body: "username=lamp%26a1p&vhost=%2F&resource=topic&name=amq.topic&permission=write&tags=&routing_key=.sys.a1p.lamp.thing.event.property.post" + rabbitTo, want: "allow"},
		{name: "publish elsewhere", path: "/rabbitmq/topic", body: "username=lamp%26a1p&vhost=%2F&resource=topic&name=amq.topic&permission=write&tags=&routing_key=.sys.a1p.door.thing.event.property.post" + rabbitTo, want: "deny"},
		{name: "subscribe", path: "/rabbitmq/topic", body: "username=lamp%26a1p&vhost=%2F&resource=topic&name=amq.topic&permission=read&tags=&routing_key=.sys.a1p.lamp.%2A.event.%2A.post_reply" + rabbitTo, want: "allow"},
		{name: "subscribe to all", path: "/rabbitmq/topic", body: "username=lamp%26a1p&vhost=%2F&resource=topic&name=amq.topic&permission=read&tags=&routing_key=%23" + rabbitTo, want: "deny"},
		{name: "slash in the key", path: "/rabbitmq/topic", body: "username=lamp%26a1p&vhost=%2F&resource=topic&name=amq.topic&permission=write&tags=&routing_key=.sys.a1p.lamp/x" + rabbitTo, want: "deny"},
		{name: "asked twice", path: "/rabbitmq/user", body: "username=lamp%26a1p&username=x&password=pw&client_id=y", want: "deny"},
		{name: "no form", path: "/rabbitmq/user", body: "%zz", want: "deny"},
		{name: "service", path: "/rabbitmq/user", body: "username=platform&password=platform-password&vhost=%2F&client_id=openalink", want: "allow"},
		{name: "service reads all", path: "/rabbitmq/topic", body: "username=platform&vhost=%2F&resource=topic&name=amq.topic&permission=read&tags=&routing_key=.sys.%23&variable_map.client_id=openalink", want: "allow"},
	},
	"EMQX": {
		{name: "wrong password", path: "/emqx/auth", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","password":"px","peerhost":"10.0.0.1"}`, want: `{"result":"deny"}`},
		{name: "stranger's topic", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"deny"}`},
		{name: "login", path: "/emqx/auth", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","password":"pw","peerhost":"10.0.0.1"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "publish", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "publish, as a form", path: "/emqx/acl", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body: "clientid=" + escaped + "&username=lamp%26a1p&topic=/sys/a1p/lamp/x&action=publish", want: `{"result":"allow","is_superuser":false}`},
		{name: "publish elsewhere", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/door/x","action":"publish"}`, want: `{"result":"deny"}`},
		{name: "another user", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"door&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"deny"}`},
		{name: "subscribe", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/#","action":"subscribe"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "no such action", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/#","action":"all"}`, want: `{"result":"deny"}`},
		{name: "another's end", path: "/emqx/event", body: `{"event":"client.disconnected","clientid":"` + clientID + `","username":"door&a1p","reason":"normal"}`, want: "{}"},
		{name: "still in", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "end", path: "/emqx/event", body: `{"event":"client.disconnected","clientid":"` + clientID + `","username":"lamp&a1p","reason":"keepalive_timeout","disconnected_at":1763000000000}`, want: "{}"},
		{name: "after the end", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"deny"}`},
		{name: "login again", path: "/emqx/auth", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","password":"pw"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "somebody with a wrong password", path: "/emqx/event", body: `{"event":"client.connack","clientid":"` + clientID + `","username":"lamp&a1p","reason_code":"bad_username_or_password"}`, want: "{}"},
		{name: "does no harm", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "login before the old end is told", path: "/emqx/auth", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","password":"pw"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "the old end", path: "/emqx/event", body: `{"event":"client.disconnected","clientid":"` + clientID + `","username":"lamp&a1p","reason":"tcp_closed"}`, want: "{}"},
		{name: "the new one goes on", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "login again, taking over", path: "/emqx/auth", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","password":"pw"}`, want: `{"result":"allow","is_superuser":false}`},
		{name: "the end of who was taken over", path: "/emqx/event", body: `{"event":"client.disconnected","clientid":"` + clientID + `","username":"lamp&a1p","reason":"takenover"}`, want: "{}"},
		{name: "end as the old plugin tells it", path: "/emqx/event", body: `{"action":"client_disconnected","clientid":"` + clientID + `","username":"lamp&a1p","reason":"normal"}`, want: "{}"},
		{name: "after that", path: "/emqx/acl", body: `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`, want: `{"result":"deny"}`},
		{name: "not JSON", path: "/emqx/auth", body: `{"clientid":`, want: `{"result":"deny"}`},
		{name: "array", path: "/emqx/auth", body: `[]`, want: `{"result":"deny"}`},
		{name: "null", path: "/emqx/acl", body: `null`, want: `{"result":"deny"}`},
	},
	"VerneMQ": {
		{name: "stranger", path: "/vernemq", header: verne("auth_on_publish"), body: `{"client_id":"c","mountpoint":"","username":"lamp&a1p","qos":1,"topic":"/sys/a1p/lamp/x","payload":"","retain":false}`, want: `{"result":{"error":"not_allowed"}}`},
		{name: "login", path: "/vernemq", header: verne("auth_on_register"), body: `{"peer_addr":"127.0.0.1","peer_port":8888,"mountpoint":"","client_id":"c","username":"lamp&a1p","password":"pw","clean_session":true}`, want: `{"result":"ok"}`},
		{name: "no password", path: "/vernemq", header: verne("auth_on_register"), body: `{"peer_addr":"127.0.0.1","peer_port":8888,"mountpoint":"","client_id":"d","username":"lamp&a1p","password":null,"clean_session":true}`, want: `{"result":{"error":"not_allowed"}}`},
		{name: "publish", path: "/vernemq", header: verne("auth_on_publish"), body: `{"client_id":"c","mountpoint":"","username":"lamp&a1p","qos":1,"topic":"/sys/a1p/lamp/x","payload":"aGVsbG8=","retain":false}`, want: `{"result":"ok"}`},
		{name: "subscribe", path: "/vernemq", header: verne("auth_on_subscribe"), body: `{"client_id":"c","mountpoint":"","username":"lamp&a1p","topics":[{"topic":"/sys/a1p/lamp/#","qos":2},{"topic":"/sys/a1p/door/#","qos":1}]}`, want: `{"result":"ok","topics":[{"topic":"/sys/a1p/lamp/#","qos":1},{"topic":"/sys/a1p/door/#","qos":128}]}`},
		{name: "subscribe to nothing", path: "/vernemq", header: verne("auth_on_subscribe"), body: `{"client_id":"c","username":"lamp&a1p","topics":[]}`, want: `{"result":{"error":"not_allowed"}}`},
		{name: "topics of another kind", path: "/vernemq", header: verne("auth_on_subscribe"), body: `{"client_id":"c","username":"lamp&a1p","topics":"#"}`, want: `{"result":{"error":"not_allowed"}}`},
		{name: "MQTT 5", path: "/vernemq", header: verne("auth_on_register_m5"), body: `{"client_id":"c","username":"lamp&a1p","password":"pw"}`, want: `{"result":{"error":"not_allowed"}}`},
		{name: "notice", path: "/vernemq", header: verne("on_register"), body: `{"client_id":"c","username":"lamp&a1p"}`, want: `{"result":"next"}`},
		{name: "gone", path: "/vernemq", header: verne("on_client_gone"), body: `{"client_id":"c","mountpoint":""}`, want: "{}"},
		{name: "after that", path: "/vernemq", header: verne("auth_on_publish"), body: `{"client_id":"c","username":"lamp&a1p","qos":1,"topic":"/sys/a1p/lamp/x"}`, want: `{"result":{"error":"not_allowed"}}`},
		{name: "login, and again", path: "/vernemq", header: verne("auth_on_register"), body: `{"peer_addr":"127.0.0.1","peer_port":8888,"mountpoint":"","client_id":"c","username":"lamp&a1p","password":"pw","clean_session":true}`, want: `{"result":"ok"}`},
		{name: "once more: it takes over", path: "/vernemq", header: verne("auth_on_register"), body: `{"peer_addr":"127.0.0.1","peer_port":8888,"mountpoint":"","client_id":"c","username":"lamp&a1p","password":"pw","clean_session":true}`, want: `{"result":"ok"}`},
		{name: "the end of the first", path: "/vernemq", header: verne("on_client_gone"), body: `{"client_id":"c","mountpoint":""}`, want: `{}`},
		{name: "the second goes on", path: "/vernemq", header: verne("auth_on_publish"), body: `{"client_id":"c","username":"lamp&a1p","qos":1,"topic":"/sys/a1p/lamp/x"}`, want: `{"result":"ok"}`},
		{name: "the end of the second", path: "/vernemq", header: verne("on_client_offline"), body: `{"client_id":"c","mountpoint":""}`, want: `{}`},
		{name: "nobody is left", path: "/vernemq", header: verne("auth_on_publish"), body: `{"client_id":"c","username":"lamp&a1p","qos":1,"topic":"/sys/a1p/lamp/x"}`, want: `{"result":{"error":"not_allowed"}}`},
	},
	"Mosquitto": {
		{name: "login, as a form", path: "/mosquitto/user", body: "username=lamp%26a1p&password=pw&clientid=c", want: `{"Ok":true,"Error":""}`},
		{name: "wrong", path: "/mosquitto/user", body: `{"username":"lamp&a1p","password":"px","clientid":"d"}`, status: 403, want: `{"Ok":false,"Error":"denied"}`},
		{name: "no superuser", path: "/mosquitto/superuser", body: `{"username":"lamp&a1p"}`, status: 403, want: `{"Ok":false,"Error":"denied"}`},
		{name: "superuser", path: "/mosquitto/superuser", body: `{"username":"platform"}`, want: `{"Ok":true,"Error":""}`},
		{name: "write", path: "/mosquitto/acl", body: `{"username":"lamp&a1p","clientid":"c","topic":"/sys/a1p/lamp/x","acc":2}`, want: `{"Ok":true,"Error":""}`},
		{name: "write, as a form", path: "/mosquitto/acl", body: "username=lamp%26a1p&clientid=c&topic=/sys/a1p/lamp/x&acc=2", want: `{"Ok":true,"Error":""}`},
		{name: "subscribe", path: "/mosquitto/acl", body: `{"username":"lamp&a1p","clientid":"c","topic":"/sys/a1p/lamp/#","acc":4}`, want: `{"Ok":true,"Error":""}`},
		{name: "read", path: "/mosquitto/acl", body: `{"username":"lamp&a1p","clientid":"c","topic":"/sys/a1p/lamp/x","acc":1}`, want: `{"Ok":true,"Error":""}`},
		{name: "elsewhere", path: "/mosquitto/acl", body: `{"username":"lamp&a1p","clientid":"c","topic":"/sys/a1p/door/x","acc":1}`, status: 403, want: `{"Ok":false,"Error":"denied"}`},
		{name: "no such access", path: "/mosquitto/acl", body: `{"username":"lamp&a1p","clientid":"c","topic":"/sys/a1p/lamp/x","acc":3}`, status: 403, want: `{"Ok":false,"Error":"denied"}`},
		{name: "no number", path: "/mosquitto/acl", body: `{"username":"lamp&a1p","clientid":"c","topic":"/sys/a1p/lamp/x","acc":"all"}`, status: 403, want: `{"Ok":false,"Error":"denied"}`},
	},
}

// ask sends a question to a handler, without a socket.
func ask(hook http.Handler, path string, header http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	hook.ServeHTTP(w, r)
	return w
}

func TestQuestions(t *testing.T) {
	for name, questions := range conversations {
		t.Run(name, func(t *testing.T) {
			hook, _ := newHook(t, webhook.Config{Access: pickyAccess()})
			for _, q := range questions {
				if q.status == 0 {
					q.status = http.StatusOK
				}
				if w := ask(hook, "/"+secret+q.path, q.header, q.body); w.Code != q.status || w.Body.String() != q.want {
					t.Errorf("%s: %d %s, want %d %s", q.name, w.Code, w.Body, q.status, q.want)
				}
			}
		})
	}
}

func TestSecret(t *testing.T) {
	hook, _ := newHook(t, webhook.Config{Access: pickyAccess()})
	const body = `{"clientid":"c","username":"lamp&a1p","password":"pw"}`
	bearer := func(s string) http.Header { return http.Header{"Authorization": {"Bearer " + s}} }
	for _, c := range []struct {
		name, path string
		header     http.Header
		status     int
	}{
		{"path", "/" + secret + "/emqx/auth", nil, 200},
		{"header", "/emqx/auth", bearer(secret), 200},
		{"none", "/emqx/auth", nil, 403},
		{"wrong in path", "/x" + secret + "/emqx/auth", nil, 403},
		{"half in path", "/" + secret[:5] + "/emqx/auth", nil, 403},
		{"wrong in header", "/emqx/auth", bearer("x"), 403},
		{"wrong in header, right in path", "/" + secret + "/emqx/auth", bearer("x"), 403},
		{"empty in header", "/emqx/auth", bearer(""), 403},
		{"no such path", "/" + secret + "/other", nil, 404},
		{"alone", "/" + secret, nil, 404},
	} {
		if w := ask(hook, c.path, c.header, body); w.Code != c.status {
			t.Errorf("%s: status %d, want %d", c.name, w.Code, c.status)
		}
	}
	w := httptest.NewRecorder()
	hook.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+secret+"/rabbitmq/user?username=x", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", w.Code)
	}
	for _, bad := range []string{"", "a/b"} {
		if _, err := webhook.New(webhook.Config{Access: pickyAccess(), Secret: auth.NewSecret(bad)}); err == nil {
			t.Errorf("secret %q is taken", bad)
		}
	}
	if _, err := webhook.New(webhook.Config{Secret: auth.NewSecret("x")}); err == nil {
		t.Error("no access is taken")
	}
}

// TestPanic: what goes wrong inside is a denial in the broker's words.
func TestPanic(t *testing.T) {
	hook, _ := newHook(t, webhook.Config{Access: &haltest.FakeAccess{Decide: func(context.Context, *haltest.FakeSession) (hal.Accepted, error) { panic("by the test") }}})
	for path, want := range map[string]string{"/emqx/auth": `{"result":"deny"}`, "/rabbitmq/user": "deny", "/mosquitto/user": `{"Ok":false,"Error":"denied"}`} {
		body := `{"clientid":"c","client_id":"c","username":"lamp&a1p","password":"pw"}`
		if w := ask(hook, "/"+secret+path, nil, body); w.Body.String() != want {
			t.Errorf("%s: %s, want %s", path, w.Body, want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	hook, _ := newHook(t, webhook.Config{Access: pickyAccess(), MaxBody: 1000})
	body := `{"clientid":"c","username":"lamp&a1p","password":"pw","x":"` + strings.Repeat("x", 1000) + `"}`
	if w := ask(hook, "/"+secret+"/emqx/auth", nil, body); w.Body.String() != `{"result":"deny"}` {
		t.Errorf("got %s", w.Body)
	}
}

func TestMaxClients(t *testing.T) {
	hook, _ := newHook(t, webhook.Config{Access: pickyAccess(), MaxClients: 2})
	for i, want := range []string{"allow", "allow", "deny"} {
		if w := ask(hook, "/"+secret+"/rabbitmq/user", nil, "username=lamp%26a1p&password=pw&client_id="+string(rune('a'+i))); w.Body.String() != want {
			t.Errorf("client %d: %s, want %s", i, w.Body, want)
		}
	}
	if w := ask(hook, "/"+secret+"/rabbitmq/user", nil, "username=lamp%26a1p&password=pw&client_id=a"); w.Body.String() != "allow" {
		t.Errorf("the same again: %s", w.Body)
	}
	hook.End("b", hal.CauseClient)
	if n := hook.Clients(); n != 1 {
		t.Errorf("%d clients, want 1", n)
	}
}

func TestConsumeMistakes(t *testing.T) {
	hook, _ := newHook(t, webhook.Config{Access: pickyAccess()})
	for _, url := range []string{"", "http://x", "://", "x"} {
		if err := hook.Consume(t.Context(), webhook.Consumer{URL: url}); err == nil {
			t.Errorf("URL %q is taken", url)
		}
	}
	_ = hook.Close()
	if err := hook.Consume(t.Context(), webhook.Consumer{URL: "mqtt://127.0.0.1:1"}); !errors.Is(err, webhook.ErrServerClosed) {
		t.Errorf("after Close: %v", err)
	}
	if w := ask(hook, "/"+secret+"/rabbitmq/user", nil, "username=lamp%26a1p&password=pw&client_id=a"); w.Body.String() != "deny" {
		t.Errorf("login after Close: %s", w.Body)
	}
}

// FuzzQuestions: whatever a broker, or who pretends to be one, sends, nobody is
// let in who does not know the password, and nothing panics.
func FuzzQuestions(f *testing.F) {
	paths := []string{"/emqx/auth", "/emqx/acl", "/emqx/event", "/rabbitmq/user", "/rabbitmq/vhost", "/rabbitmq/resource", "/rabbitmq/topic", "/vernemq", "/mosquitto/user", "/mosquitto/superuser", "/mosquitto/acl"}
	for _, questions := range conversations {
		for _, q := range questions {
			for i, path := range paths {
				if path == q.path {
					f.Add(byte(i), q.header.Get("Vernemq-Hook"), q.header.Get("Content-Type"), []byte(strings.ReplaceAll(q.body, "pw", "px")))
				}
			}
		}
	}
	hook, err := webhook.New(webhook.Config{Secret: auth.NewSecret(secret), Access: &haltest.FakeAccess{Decide: func(context.Context, *haltest.FakeSession) (hal.Accepted, error) {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials}
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path byte, hookName, contentType string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/"+secret+paths[int(path)%len(paths)], strings.NewReader(string(body)))
		r.Header.Set("Vernemq-Hook", hookName)
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		hook.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusForbidden {
			t.Errorf("status %d", w.Code)
		}
		if strings.HasPrefix(w.Body.String(), "allow") || strings.Contains(w.Body.String(), "true") {
			t.Errorf("let in: %s", w.Body)
		}
		if hook.Clients() > 0 {
			t.Error("somebody is in")
		}
	})
}
