// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"errors"
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

var errNotServed = errors.New("hub: nothing here serves this topic")

// uplink handles a message of a device: where does it belong, may the device,
// who serves it. An error rejects the message, or closes the connection when it
// is no *hal.RejectedError.
func (sh *shard) uplink(b *batch, it *item, r *result) error {
	s, m := it.s, &it.m
	d := s.d
	if s.req == nil && d.sess != s {
		return errSessionEnded
	}
	t, err := topic.Parse(m.Topic)
	if err == nil && s.gw != nil && t.Device != d.id && !t.Device.IsZero() {
		if s = s.gw.speaker(sh, t.Device); s == nil {
			return it.s.noSession(b, m, t.Device)
		}
		d = s.d
		r.d = d
	}
	if err == nil {
		err = d.product.acl.Load().Publish(d.id, t)
	}
	if err != nil {
		s.reject(*m, CauseNoAuthorization, err.Error())
		return &hal.RejectedError{Err: err}
	}
	r.id = sh.h.ids.next(b.now)
	if it.id != nil {
		*it.id = r.id
	}
	if it.s.req != nil {
		if err := it.s.heard(r.id); err != nil {
			return err
		}
	}
	if sh.h.observed() {
		r.topic = m.Topic
	}
	m.Topic = t.Name
	switch t.Family {
	case topic.FamilySys:
		return sh.sys(b, s, &t, it, r)
	case topic.FamilyRRPC:
		return sh.rrpcAnswer(b, s, &t, m, r)
	case topic.FamilyCustom:
		b.record(d, "", r.id, m, m.Payload)
		if q, ok := s.subs.Load().wants(t.Name, false); ok {
			sh.echo(b, s, &t, m, min(q, m.QoS))
		}
		return nil
	case topic.FamilyExt:
		if t.Path == "ntp/request" {
			return sh.ntp(b, s, m)
		}
		if strings.HasPrefix(t.Path, "session/") {
			return sh.sys(b, s, &t, it, r)
		}
	case topic.FamilyShadow:
		if t.Path == "update" {
			return sh.shadow(b, s, m, r)
		}
	case topic.FamilyOTA:
		return sh.ota(b, s, d, &t, m, r)
	}
	s.reject(*m, CauseUnknownMethod, errNotServed.Error())
	return &hal.RejectedError{Err: fmt.Errorf("%w: %s", errNotServed, m.Topic)}
}

// sys handles a message below /sys/{pk}/{dn}: an answer to a call, or a request.
func (sh *shard) sys(b *batch, s *session, t *topic.Topic, it *item, r *result) error {
	m := &it.m
	if strings.HasPrefix(t.Path, "rrpc/response/") {
		return sh.rrpcAnswer(b, s, t, m, r)
	}
	if strings.HasPrefix(t.Path, "thing/file/") {
		return sh.file(b, s, t, m, r)
	}
	req := &sh.req
	*req = alink.Request{Device: s.d.id, Via: s.gatewayID(), Topic: *t, Payload: m.Payload, MessageID: r.id, Time: b.now}
	if err := alink.Parse(m.Payload, &req.Message); err != nil {
		sh.h.log(LogEntry{
			MessageID: r.id, Device: s.d.id, Via: s.gatewayID(), Kind: Upstream, Operation: OpCheckPayload, Status: Failure,
			Cause: CauseNotJSON, Topic: cloneTopic(m.Topic), Detail: err.Error(),
		})
		return &hal.RejectedError{Err: err}
	}
	if strings.HasSuffix(t.Path, topic.ReplySuffix) {
		return sh.reply(b, s, m, r)
	}
	sh.ctx.s, sh.ctx.subs, sh.ctx.m, sh.ctx.recorded, sh.ctx.why = s, it.subs, m, false, ""
	reply := sh.h.mux.ServeAlink(&sh.ctx, req)
	sh.ctx.s, sh.ctx.subs, sh.ctx.m = nil, nil, nil
	if sh.ctx.recorded {
		// as the handler wants it
	} else if reply.Code == alink.CodeOK || reply.None {
		b.record(s.d, "", r.id, m, m.Payload)
	} else {
		sh.logRefusal(s, m, r, &reply)
	}
	if !reply.None && req.Ack {
		sh.sendReply(b, s, t, req, reply, it.raw)
	}
	return nil
}

// sendReply answers a request on its topic with _reply, or on up_raw_reply when it
// came raw, if the device wants to hear that.
func (sh *shard) sendReply(b *batch, s *session, t *topic.Topic, req *alink.Request, reply alink.Reply, raw bool) {
	name := topic.AppendReply(b.arena.grab(len(t.Name)+len(topic.ReplySuffix)), t.Name)
	if raw {
		name = []byte(topic.Sys(s.d.id, pathUpRawReply))
	}
	if _, ok := s.subs.Load().wants(text(name), true); !ok {
		return
	}
	reply = reply.For(&req.Message)
	if reply.Method == "" {
		reply.Method, _ = alink.MethodOf(t.Path)
	}
	size := 128 + len(reply.ID) + len(reply.Method) + len(reply.Version) + 2*len(reply.Message) + len(reply.Data)
	b.answer(name, alink.AppendReply(b.arena.grab(size), &reply))
}

// logRefusal makes the entry of a request answered with a failure code.
func (sh *shard) logRefusal(s *session, m *iot.Message, r *result, reply *alink.Reply) {
	e := LogEntry{
		MessageID: r.id, Device: s.d.id, Via: s.gatewayID(), Kind: Upstream, Operation: OpHandle, Status: Failure,
		Code: reply.Code, Cause: CauseAnswer, Topic: cloneTopic(m.Topic), Detail: reply.Message,
	}
	switch {
	case sh.ctx.why != "":
		e.Cause, e.Detail = CauseModel, sh.ctx.why
	case reply.Code == CodeUnknownMethod:
		e.Cause = CauseUnknownMethod
	}
	r.topic = "" // not a success
	sh.h.log(e)
}

// reply takes a device's answer to a request of the platform.
func (sh *shard) reply(b *batch, s *session, m *iot.Message, r *result) error {
	d := s.d
	b.record(d, "", r.id, m, m.Payload)
	req := &sh.req
	if sh.h.calls.Resolve(callKey(d, req.ID), m.Payload) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.queue.all {
		if q.callID != "" && q.callID == req.ID {
			d.queue.remove(b, d, q)
			b.touch(d)
			b.noteService(d, pathOf(q.topic), q.id, q.payload, m.Payload)
			if q.desired != nil && req.Code == alink.CodeOK {
				b.settleDesired(d, q.desired)
			}
			b.note(d, Downlink{ID: q.id, Topic: q.topic, State: Answered, Code: req.Code})
			sh.h.logAnswer(d, q.id, OpReply, q.topic, req.Code)
			break
		}
	}
	return nil
}

// rrpcAnswer takes a device's answer to a synchronous call.
func (sh *shard) rrpcAnswer(b *batch, s *session, t *topic.Topic, m *iot.Message, r *result) error {
	b.record(s.d, "", r.id, m, m.Payload)
	sh.h.calls.Resolve(rrpcKey(s.d, t.ID), m.Payload)
	return nil
}

// echo returns a device's own message on a custom topic of class "all" to it.
func (sh *shard) echo(b *batch, s *session, t *topic.Topic, m *iot.Message, qos iot.QoS) {
	if s.d.product.acl.Load().Deliver(s.d.id, *t) != nil {
		return
	}
	if qos == iot.AtMostOnce {
		name := append(b.arena.grab(len(t.Name)), t.Name...)
		b.answer(name, append(b.arena.grab(len(m.Payload)), m.Payload...))
		return
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	own := iot.Message{Topic: strings.Clone(t.Name), Payload: m.Payload, QoS: qos}
	if _, err := sh.h.enqueue(b, s.d, sh.h.ids.next(b.now), own, "", SendOptions{QoS: qos}); err != nil {
		sh.h.logDown(s.d, 0, OpSend, own.Topic, err)
	}
}
