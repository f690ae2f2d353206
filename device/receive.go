// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

// receive takes a message from the transport: answers go to who waits for them,
// requests to the handlers. It never blocks.
func (c *Client) receive(m iot.Message) {
	t, err := topic.Parse(m.Topic)
	if err != nil {
		c.cfg.Logger.Warn("message on an illegal topic", "topic", m.Topic, "error", err)
		return
	}
	if isEcho(&t) || c.gw != nil && c.gw.route(&t, m) || c.answer(&t, m.Payload) {
		return
	}
	if !c.requests.add(c, m) {
		c.cfg.Logger.Error("request dropped: handlers are too slow", "topic", m.Topic)
	}
}

// answer hands an answer of the platform to its caller.
func (c *Client) answer(t *topic.Topic, payload []byte) bool {
	switch {
	case t.Family == topic.FamilyExt && t.Path == "ntp/response":
		c.calls.Resolve(ntpCall, payload)
	case t.Family == topic.FamilyShadow:
		return c.shadowMessage(payload)
	case t.Family == topic.FamilySys && t.Path == upRawReply:
		c.calls.Resolve(rawCall, payload)
	case t.Family == topic.FamilySys && t.Path == "thing/file/download_reply":
		c.blockAnswered(payload)
	case (t.Family == topic.FamilySys || t.Family == topic.FamilyExt) && strings.HasSuffix(t.Path, topic.ReplySuffix):
		var m alink.Message
		if err := alink.Parse(payload, &m); err != nil {
			c.cfg.Logger.Warn("answer that cannot be read", "topic", t.Name, "error", err)
			return true
		}
		c.calls.Resolve(m.ID, payload)
	default:
		return false
	}
	return true
}

// handle answers one request. A handler that panics costs that request.
func (c *Client) handle(m iot.Message) {
	defer func() {
		if p := recover(); p != nil {
			c.cfg.Logger.Error("handler panicked", "topic", m.Topic, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	t, err := topic.Parse(m.Topic)
	if err != nil {
		return // receive looked already
	}
	switch {
	case t.Family == topic.FamilySys && strings.HasPrefix(t.Path, "rrpc/request/"):
		c.rrpc(topic.Sys(t.Device, "rrpc/response/"+t.ID), "", m.Payload)
	case t.Family == topic.FamilyShadow:
		c.follow(m.Payload)
	case t.Family == topic.FamilyOTA:
		c.upgrade(m.Payload)
	case t.Family == topic.FamilySys && t.Path == downRaw:
		c.raw(m.Payload)
	case t.Family == topic.FamilyRRPC:
		c.rrpc(m.Topic, t.Path, m.Payload)
	case t.Family == topic.FamilySys && strings.HasPrefix(t.Path, "broadcast/"), t.Family != topic.FamilySys:
		if f := c.cfg.Handlers.Message; f != nil {
			f(c.ctx, m.Topic, m.Payload)
		}
	default:
		var req alink.Message
		if err := alink.Parse(m.Payload, &req); err != nil {
			c.cfg.Logger.Warn("request that cannot be read", "topic", m.Topic, "error", err)
			return
		}
		c.respond(topic.Reply(m.Topic), c.request(t.Path, &req).For(&req))
	}
}

// rrpc answers a synchronous call: a service call in an Alink envelope, or bytes.
func (c *Client) rrpc(answerOn, inner string, payload []byte) {
	var req alink.Message
	if alink.Parse(payload, &req) == nil {
		path, ok := servicePath(inner, req.Method)
		if ok {
			c.respond(answerOn, c.request(path, &req).For(&req))
			return
		}
	}
	f := c.cfg.Handlers.RRPC
	if f == nil {
		c.respond(answerOn, alink.Reply{ID: req.ID, Code: alink.CodeBadParams, Message: "no such service"})
		return
	}
	if inner != "" && inner[0] != '/' {
		inner = "/" + inner
	}
	out, err := f(c.ctx, inner, payload)
	if err != nil {
		c.respond(answerOn, alink.ErrorReply(err).For(&req))
		return
	}
	c.publish(answerOn, out)
}

// servicePath finds the path of a synchronous service call: in the inner topic,
// or in the method.
func servicePath(inner, method string) (string, bool) {
	if inner != "" {
		t, err := topic.Parse(inner)
		return t.Path, err == nil && t.Family == topic.FamilySys
	}
	return strings.ReplaceAll(method, ".", "/"), strings.HasPrefix(method, "thing.service.")
}

// request calls the handler of a path and makes its answer.
func (c *Client) request(path string, req *alink.Message) alink.Reply {
	h := &c.cfg.Handlers
	params := json.RawMessage(alink.LenientParams(req.Params))
	var out any
	var err error
	service, isService := strings.CutPrefix(path, "thing/service/")
	switch {
	case path == "thing/service/property/set":
		err = c.setProperties(params)
	case path == "thing/service/property/get":
		out, err = c.getProperties(params)
	case path == "thing/config/push" && c.cfg.RemoteConfig != nil:
		err = c.configPushed(params)
	case isService:
		out, err = c.callService(service, params)
	case path == "thing/disable" || path == "thing/enable":
		if h.Enabled != nil {
			h.Enabled(c.ctx, path == "thing/enable")
		}
	case path == "thing/delete":
		if h.Deleted != nil {
			h.Deleted(c.ctx)
		}
	case h.Request != nil:
		out, err = h.Request(c.ctx, path, params)
	default:
		err = errNoHandler
	}
	return replyOf(out, err)
}

var errNoHandler = &alink.CodeError{Code: alink.CodeBadParams, Message: "the device does not serve this"}

func (c *Client) setProperties(params json.RawMessage) error {
	f := c.cfg.Handlers.SetProperties
	if f == nil {
		return errNoHandler
	}
	values := make(map[string]json.RawMessage)
	if err := json.Unmarshal(params, &values); err != nil {
		return &alink.CodeError{Code: alink.CodeBadParams, Message: "params must be an object"}
	}
	return f(c.ctx, values)
}

func (c *Client) getProperties(params json.RawMessage) (any, error) {
	f := c.cfg.Handlers.GetProperties
	if f == nil {
		return nil, errNoHandler
	}
	var names []string
	if err := json.Unmarshal(params, &names); err != nil {
		return nil, &alink.CodeError{Code: alink.CodeBadParams, Message: "params must be a list of identifiers"}
	}
	return f(c.ctx, names)
}

func (c *Client) callService(name string, params json.RawMessage) (any, error) {
	f := c.cfg.Handlers.Services[name]
	if f == nil && c.cfg.Handlers.Service != nil {
		return c.cfg.Handlers.Service(c.ctx, name, params)
	}
	if f == nil {
		return nil, errNoHandler
	}
	return f(c.ctx, params)
}

func replyOf(out any, err error) alink.Reply {
	if err != nil {
		return alink.ErrorReply(err)
	}
	if out == nil {
		return alink.OK(nil)
	}
	data, err := alink.Marshal(out)
	if err != nil {
		return alink.ErrorReply(err)
	}
	return alink.OK(data)
}

func (c *Client) respond(name string, r alink.Reply) {
	c.publish(name, alink.AppendReply(nil, &r))
}

// publish sends an answer; one that cannot leave is logged, the platform will
// time out.
func (c *Client) publish(name string, payload []byte) {
	ctx, cancel := context.WithTimeout(c.ctx, callTimeout)
	defer cancel()
	conn, err := c.current()
	if err == nil {
		err = conn.Publish(ctx, iot.Message{Topic: name, Payload: payload})
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.cfg.Logger.Warn("answer not sent", "topic", name, "error", err)
	}
}
