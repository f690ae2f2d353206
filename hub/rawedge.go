// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"sync/atomic"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// The topics of raw products.
const (
	pathUpRaw        = "thing/model/up_raw"
	pathUpRawReply   = "thing/model/up_raw_reply"
	pathDownRaw      = "thing/model/down_raw"
	pathDownRawReply = "thing/model/down_raw_reply"
)

// rawEdge stands between a connection and the hub: everything behind it is Alink.
// Work on a message may take a while, so it has a goroutine of its own, as long as
// there is any, and keeps the order of the connection.
type rawEdge struct {
	in, out serial

	mu    sync.Mutex
	calls map[string]struct{} // ids of synchronous calls whose answer is to be decoded
}

// maxRawCalls is how many synchronous calls of a connection may be under way with
// their answers to be decoded; those beyond time out.
const maxRawCalls = 1000

func (e *rawEdge) expect(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.calls == nil {
		e.calls = make(map[string]struct{})
	}
	if len(e.calls) >= maxRawCalls {
		clear(e.calls)
	}
	e.calls[id] = struct{}{}
}

func (e *rawEdge) expected(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.calls[id]
	delete(e.calls, id)
	return ok
}

// serial runs functions one after the other, on a goroutine while there are any.
type serial struct {
	n    atomic.Int32
	mu   sync.Mutex
	list []func()
}

func (q *serial) add(running *sync.WaitGroup, f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, f)
	if q.n.Add(1) == 1 {
		running.Go(q.work)
	}
}

func (q *serial) work() {
	for {
		q.mu.Lock()
		f := q.list[0]
		q.list = q.list[1:]
		q.mu.Unlock()
		f()
		if q.n.Add(-1) == 0 {
			return
		}
	}
}

func (q *serial) idle() bool { return q.n.Load() == 0 }

// translates reports whether a message must go through the edge: it is raw, or
// behind one that is.
func (s *session) translates(name string) bool {
	return !s.raw.in.idle() || strings.HasSuffix(name, pathUpRaw) || strings.HasSuffix(name, pathDownRawReply) ||
		strings.HasSuffix(name, alink.TransformSuffix) || strings.Contains(name, "/rrpc/response/") || strings.HasPrefix(name, "/ext/rrpc/")
}

// receiveRaw takes a message through the edge to the worker. What is not through
// when the hub closes is not kept: it is not acknowledged, and the device repeats it.
func (s *session) receiveRaw(it item) {
	s.raw.in.add(&s.h.translating, func() {
		if s.h.draining.Load() {
			it.done(nil, ErrClosed)
			s.leave(it.size)
			return
		}
		if err := s.toAlink(&it); err != nil {
			it.done(nil, &hal.RejectedError{Err: err})
			s.leave(it.size)
			return
		}
		s.d.put(it)
	})
}

// toAlink makes an Alink message of a raw one; others stay as they are.
func (s *session) toAlink(it *item) error {
	name, transform := strings.CutSuffix(it.m.Topic, alink.TransformSuffix)
	t, err := topic.Parse(name)
	if err != nil {
		return nil //nolint:nilerr // the worker says so
	}
	speaker := s
	if t.Device != s.d.id {
		if speaker = s.kid(t.Device); speaker == nil {
			return nil
		}
	}
	d := speaker.d
	raw := d.product.raw.Load()
	var work func(*rawProduct) ([]byte, error)
	switch {
	case raw == nil:
		return nil
	case transform && t.Family == topic.FamilyCustom:
		it.m.Topic = name
		work = func(r *rawProduct) ([]byte, error) { return r.transform(s.h.ctx, d.id, name, it.m.Payload) }
	case raw.format == Raw && (t.Path == pathUpRaw || t.Path == pathDownRawReply || s.answersRaw(&t)):
		work = func(r *rawProduct) ([]byte, error) { return r.decode(s.h.ctx, d.id, it.m.Payload) }
	default:
		return nil
	}
	out, err := d.product.translate(work)
	if err == nil && !transform {
		err = s.address(it, &t, d, out)
	}
	if err != nil {
		s.h.logScript(d, Upstream, it.m.Topic, err)
		return err
	}
	it.m.Payload = out
	return nil
}

// translate does work with the codec of the product. A codec that was replaced
// meanwhile may have been closed: then the new one does it.
func (p *product) translate(work func(*rawProduct) ([]byte, error)) ([]byte, error) {
	for {
		raw := p.raw.Load()
		if raw == nil {
			return nil, errNoCodec
		}
		out, err := work(raw)
		if err == nil || p.raw.Load() == raw {
			return out, err
		}
	}
}

// answersRaw reports whether the message answers a synchronous call that went out
// encoded.
func (s *session) answersRaw(t *topic.Topic) bool {
	isAnswer := t.Family == topic.FamilyRRPC || strings.HasPrefix(t.Path, "rrpc/response/")
	return isAnswer && s.raw.expected(t.ID)
}

// address puts a decoded message on the topic its method belongs to. Answers to
// down_raw all look alike: the id tells what they answer.
func (s *session) address(it *item, t *topic.Topic, d *device, decoded []byte) error {
	var m alink.Message
	if err := alink.Parse(decoded, &m); err != nil {
		return &alink.CodeError{Code: alink.CodeScriptBadResult, Message: err.Error()}
	}
	switch t.Path {
	case pathDownRawReply:
		it.m.Topic = topic.Sys(d.id, pathSet+topic.ReplySuffix)
	case pathUpRaw:
		if m.Method == "" {
			return &alink.CodeError{Code: alink.CodeNoMethod}
		}
		it.m.Topic = topic.Sys(d.id, alink.Method(m.Method).Path())
		it.raw = true
		it.done = s.encodeAnswer(d, it.done)
	}
	return nil
}

// encodeAnswer has the reply to an up_raw encoded before it leaves.
func (s *session) encodeAnswer(d *device, done func([]iot.Message, error)) func([]iot.Message, error) {
	return func(answers []iot.Message, err error) {
		if err != nil || len(answers) != 1 {
			done(answers, err)
			return
		}
		reply := bytes.Clone(answers[0].Payload)
		s.raw.out.add(&s.h.encoding, func() {
			name := topic.Sys(d.id, pathUpRawReply)
			out, err := d.product.encode(s.h.ctx, d.id, reply)
			if err != nil {
				s.h.logScript(d, Downstream, name, err)
			}
			if len(out) == 0 {
				done(nil, nil)
				return
			}
			done([]iot.Message{{Topic: name, Payload: out}}, nil)
		})
	}
}

// encode is that of the product's codec as it is now.
func (p *product) encode(ctx context.Context, id iot.DeviceID, message []byte) ([]byte, error) {
	return p.translate(func(r *rawProduct) ([]byte, error) { return r.encode(ctx, id, message) })
}

// rawLink is the link of a raw device: Alink requests leave it encoded.
type rawLink struct {
	hal.Link
	s    *session // of the device
	edge *rawEdge // of the connection
}

// Send implements hal.Link.
func (l rawLink) Send(ctx context.Context, d hal.Delivery, done func(error)) {
	t, err := topic.Parse(d.Message.Topic)
	to := ""
	if err == nil {
		to = l.encodes(&t, d.Message.Payload)
	}
	if to == "" && l.edge.out.idle() {
		l.Link.Send(ctx, d, done)
		return
	}
	d.Message.Payload = bytes.Clone(d.Message.Payload)
	l.edge.out.add(&l.s.h.encoding, func() {
		if to == "" {
			l.Link.Send(ctx, d, done)
			return
		}
		out, err := l.s.d.product.encode(l.s.h.ctx, l.s.d.id, d.Message.Payload)
		if err != nil {
			l.s.h.logScript(l.s.d, Downstream, d.Message.Topic, err)
			done(err)
			return
		}
		d.Message.Topic, d.Message.Payload = to, out
		l.Link.Send(ctx, d, done)
	})
}

// encodes returns the topic an Alink request leaves on, nothing for what is no
// such request.
func (l rawLink) encodes(t *topic.Topic, payload []byte) string {
	switch {
	case t.Family == topic.FamilySys && strings.HasPrefix(t.Path, "thing/service/") && !strings.HasSuffix(t.Path, topic.ReplySuffix):
		return topic.Sys(l.s.d.id, pathDownRaw)
	case t.Family == topic.FamilyRRPC, strings.HasPrefix(t.Path, "rrpc/request/"):
		var m alink.Message
		if alink.Parse(payload, &m) == nil && strings.HasPrefix(m.Method, "thing.service.") {
			l.edge.expect(strings.Clone(t.ID))
			return t.Name
		}
	}
	return ""
}

// makeRaw puts the edge before the session of a raw device. conn is the session of
// its connection: a gateway's, or the same.
func (s *session) makeRaw(conn *session) {
	raw := s.d.product.raw.Load()
	if raw == nil && s.gw == nil {
		return
	}
	if conn.raw == nil {
		conn.raw = new(rawEdge)
	}
	if raw != nil && raw.format == Raw {
		s.isRaw = true
		s.link = rawLink{s.link, s, conn.raw}
	}
}

// wireName is the topic a message for the device has on the wire.
func (s *session) wireName(name string) string {
	if s.isRaw && strings.Contains(name, "/thing/service/") && isSystem(name) {
		return topic.Sys(s.d.id, pathDownRaw)
	}
	return name
}
