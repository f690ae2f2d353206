// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

var emqx = &kind{name: "EMQX", tells: true}

// emqxReply is always 200: EMQX takes any other status for "ask somebody else".
func emqxReply(err error) reply {
	if err != nil {
		return reply{kind: typeJSON, body: `{"result":"deny"}`}
	}
	return reply{kind: typeJSON, body: `{"result":"allow","is_superuser":false}`}
}

// emqxAuth answers an HTTP authenticator with the members clientid, username,
// password and peerhost.
func (s *Server) emqxAuth(ctx context.Context, q *request) reply {
	if q.err != nil {
		return emqxReply(q.err)
	}
	f := q.fields
	l := &login{kind: emqx, clientID: f["clientid"], user: f["username"], password: f["password"], addr: f["peerhost"], clean: true}
	return emqxReply(s.judge(l, s.login(ctx, l)))
}

// emqxACL answers an HTTP authorizer with the members clientid, username, topic
// and action.
func (s *Server) emqxACL(ctx context.Context, q *request) reply {
	if q.err != nil {
		return emqxReply(q.err)
	}
	f := q.fields
	a := &access{clientID: f["clientid"], user: f["username"], topic: f["topic"], qos: iot.AtLeastOnce}
	switch f["action"] {
	case "publish":
		a.op = topic.Pub
	case "subscribe":
		a.op, a.subscribes = topic.Sub, true
	default:
		return emqxReply(errForm)
	}
	return emqxReply(s.judgeAccess(a, s.allowed(ctx, a)))
}

// emqxEvent takes events of the rule engine (event: client.disconnected) and of
// the older plugin (action: client_disconnected).
func (s *Server) emqxEvent(_ context.Context, q *request) reply {
	done := reply{kind: typeJSON, body: "{}"}
	f := q.fields
	event := f["event"]
	if event == "" {
		event = strings.ReplaceAll(f["action"], "_", ".")
	}
	switch event {
	case "client.disconnected":
		s.emqxEnded(f["clientid"], f["username"], f["reason"])
	case "client.connack": // let in here, and then refused there
		switch f["reason_code"] + f["conn_ack"] { // others anybody can bring about, with a wrong password
		case "server_unavailable", "server_busy", "quota_exceeded":
			s.emqxEnded(f["clientid"], f["username"], "")
		}
	}
	return done
}

func emqxCause(reason string) hal.Cause {
	switch reason {
	case "normal":
		return hal.CauseClient
	case "keepalive_timeout":
		return hal.CauseKeepAlive
	}
	return hal.CauseReset
}

// emqxEnded takes the end of a connection. Whoever took over has logged in before,
// and ended the session then. user may be empty: not every rule sends it.
func (s *Server) emqxEnded(clientID, user, reason string) {
	c := s.client(clientID)
	if reason == "takenover" || reason == "discarded" || c != nil && user != "" && user != c.user {
		s.paid(clientID)
		return
	}
	s.announced(clientID, emqxCause(reason))
}
