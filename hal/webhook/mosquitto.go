// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"net/http"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

var mosquitto = &kind{name: "Mosquitto"}

// mosquittoReply says it twice, for the response modes status and json.
func mosquittoReply(err error) reply {
	if err != nil {
		return reply{status: http.StatusForbidden, kind: typeJSON, body: `{"Ok":false,"Error":"denied"}`}
	}
	return reply{kind: typeJSON, body: `{"Ok":true,"Error":""}`}
}

func (s *Server) mosquittoUser(ctx context.Context, q *request) reply {
	if q.err != nil {
		return mosquittoReply(q.err)
	}
	f := q.fields
	l := &login{kind: mosquitto, clientID: f["clientid"], user: f["username"], password: f["password"], clean: true}
	return mosquittoReply(s.judge(l, s.login(ctx, l)))
}

// mosquittoSuperuser says yes to services only.
func (s *Server) mosquittoSuperuser(_ context.Context, q *request) reply {
	if _, ok := s.cfg.Services[q.fields["username"]]; q.err != nil || !ok {
		return mosquittoReply(errRefused)
	}
	return mosquittoReply(nil)
}

// The kinds of access mosquitto-go-auth asks for.
const (
	mosquittoRead      = 1
	mosquittoWrite     = 2
	mosquittoSubscribe = 4
)

func (s *Server) mosquittoACL(ctx context.Context, q *request) reply {
	if q.err != nil {
		return mosquittoReply(q.err)
	}
	f := q.fields
	a := &access{clientID: f["clientid"], user: f["username"], topic: f["topic"], qos: iot.AtLeastOnce}
	switch q.number("acc") {
	case mosquittoRead:
		a.op = topic.Sub
	case mosquittoWrite:
		a.op = topic.Pub
	case mosquittoSubscribe:
		a.op, a.subscribes = topic.Sub, true
	default:
		return mosquittoReply(errForm)
	}
	return mosquittoReply(s.judgeAccess(a, s.allowed(ctx, a)))
}
