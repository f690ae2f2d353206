// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

var vernemq = &kind{name: "VerneMQ", tells: true}

const (
	verneOK   = `{"result":"ok"}`
	verneNext = `{"result":"next"}`
)

func verneReply(err error) reply {
	if err != nil {
		return reply{kind: typeJSON, body: `{"result":{"error":"not_allowed"}}`}
	}
	return reply{kind: typeJSON, body: verneOK}
}

// verneHook answers every hook; the header vernemq-hook tells which.
func (s *Server) verneHook(ctx context.Context, q *request) reply {
	if q.err != nil {
		return verneReply(q.err)
	}
	f := q.fields
	switch q.header.Get("vernemq-hook") {
	case "auth_on_register":
		l := &login{
			kind: vernemq, clientID: f["client_id"], user: f["username"], password: f["password"],
			addr: f["peer_addr"], clean: f["clean_session"] == "true",
		}
		return verneReply(s.judge(l, s.login(ctx, l)))
	case "auth_on_publish":
		a := &access{clientID: f["client_id"], user: f["username"], op: topic.Pub, topic: f["topic"]}
		return verneReply(s.judgeAccess(a, s.allowed(ctx, a)))
	case "auth_on_subscribe":
		return s.verneSubscribe(ctx, q)
	case "on_client_gone", "on_client_offline":
		s.announced(f["client_id"], hal.CauseReset)
		return reply{kind: typeJSON, body: "{}"}
	case "on_register", "on_publish", "on_subscribe", "on_unsubscribe", "on_deliver", "on_offline_message", "on_client_wakeup":
		return reply{kind: typeJSON, body: verneNext}
	}
	return verneReply(errRefused) // such as the hooks of MQTT 5, which no device speaks
}

// verneSubscribe grants filters one by one: those refused come back with QoS 128.
func (s *Server) verneSubscribe(ctx context.Context, q *request) reply {
	const maxAsked = 1000
	if len(q.topics) == 0 || len(q.topics) > maxAsked {
		return verneReply(errForm)
	}
	answer := struct {
		Result string   `json:"result"`
		Topics []filter `json:"topics"`
	}{"ok", q.topics}
	for i, t := range q.topics {
		a := &access{
			clientID: q.fields["client_id"], user: q.fields["username"],
			op: topic.Sub, topic: t.Topic, subscribes: true, qos: iot.QoS(min(max(t.QoS, 0), 1)),
		}
		answer.Topics[i].QoS = int(a.qos)
		if s.judgeAccess(a, s.allowed(ctx, a)) != nil {
			answer.Topics[i].QoS = int(hal.Refused)
		}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return verneReply(err)
	}
	return reply{kind: typeJSON, body: string(b)}
}
