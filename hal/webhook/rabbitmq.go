// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

// RabbitMQ's MQTT plugin makes AMQP routing keys of topics: a slash becomes a dot
// and + becomes *. A dot stays one, so names with dots cannot be told from more
// levels.
var rabbitmq = &kind{name: "RabbitMQ", dots: true}

var toMQTT = strings.NewReplacer(".", "/", "*", "+")

// flattened reports whether an id does not survive that.
func flattened(id iot.DeviceID) bool { return strings.ContainsAny(id.Product+id.Name, ".*") }

func rabbitReply(err error) reply {
	if err != nil {
		return reply{kind: typeText, body: "deny"}
	}
	return reply{kind: typeText, body: "allow"}
}

func (s *Server) rabbitUser(ctx context.Context, q *request) reply {
	if q.err != nil {
		return rabbitReply(q.err)
	}
	f := q.fields
	// The clean session flag is not told: a session is forgotten with its end, and
	// what waits in a queue of the broker is the broker's.
	l := &login{kind: rabbitmq, clientID: f["client_id"], user: f["username"], password: f["password"], clean: true}
	return rabbitReply(s.judge(l, s.login(ctx, l)))
}

// rabbitVHost lets whoever is logged in use the virtual host its connection is
// configured for.
func (s *Server) rabbitVHost(ctx context.Context, q *request) reply {
	return rabbitReply(s.known(ctx, q, q.fields["client_id"]))
}

// known checks that who asks is logged in.
func (s *Server) known(ctx context.Context, q *request, clientID string) error {
	if q.err != nil {
		return q.err
	}
	user := q.fields["username"]
	if _, ok := s.cfg.Services[user]; ok {
		return nil
	}
	c := s.asked(ctx, clientID)
	if c == nil {
		return errUnknown
	}
	if c.user != user {
		return errMismatch
	}
	return nil
}

// rabbitResource lets a device use the exchange of the MQTT plugin, whose topics
// are asked for one by one, and the queues of its own subscriptions.
func (s *Server) rabbitResource(ctx context.Context, q *request) reply {
	f := q.fields
	if err := s.known(ctx, q, f["client_id"]); err != nil {
		return rabbitReply(err)
	}
	if _, ok := s.cfg.Services[f["username"]]; ok {
		return rabbitReply(nil)
	}
	name := f["name"]
	switch f["resource"] {
	case "exchange":
		if name == s.cfg.Exchange && (f["permission"] == "read" || f["permission"] == "write") {
			return rabbitReply(nil)
		}
	case "queue":
		own := "mqtt-subscription-" + f["client_id"] + "qos"
		if qos, found := strings.CutPrefix(name, own); found && (qos == "0" || qos == "1") {
			return rabbitReply(nil)
		}
	}
	return rabbitReply(errRefused)
}

func (s *Server) rabbitTopic(ctx context.Context, q *request) reply {
	if q.err != nil {
		return rabbitReply(q.err)
	}
	f := q.fields
	key := f["routing_key"]
	a := &access{clientID: f["variable_map.client_id"], user: f["username"], topic: toMQTT.Replace(key), qos: iot.AtLeastOnce}
	switch {
	case strings.Contains(key, "/"), f["name"] != s.cfg.Exchange:
		return rabbitReply(errForm)
	case f["permission"] == "write":
		a.op = topic.Pub
	case f["permission"] == "read":
		a.op, a.subscribes = topic.Sub, true
	default:
		return rabbitReply(errForm)
	}
	return rabbitReply(s.judgeAccess(a, s.allowed(ctx, a)))
}
