// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
	"github.com/openalink/iot/tsl"
)

// maxBatch is how many items share a commit at most.
const maxBatch = 256

// item is a message of a session, or an event that changes a device in line
// with its messages.
type item struct {
	d     *device // whose item it is; nil for events of the shard itself
	s     *session
	m     iot.Message
	done  func([]iot.Message, error)
	id    *int64       // where the number of the message goes; nil for nowhere
	event func(*batch) // nil for a message
	subs  *subRequest  // a gateway's request about sub-devices, made ready
	size  int          // bytes as they arrived
	raw   bool         // decoded from an up_raw
}

// shard is one worker and the queue before it. A device belongs to one shard for
// as long as it is in memory, so everything about it happens in order. The queue
// needs no bound of its own: each session bounds what it has in it.
type shard struct {
	h    *Hub
	mu   sync.Mutex
	list []item
	wake chan struct{} // capacity 1

	// of the worker
	req   alink.Request
	ctx   workContext
	props post
}

func newShard(h *Hub) *shard {
	sh := &shard{h: h, wake: make(chan struct{}, 1)}
	sh.ctx = workContext{Context: h.ctx, sh: sh}
	sh.props.bind()
	return sh
}

// put queues an item. It reports false, queueing nothing, when the item's device
// does not belong here any more.
func (sh *shard) put(it item) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if it.d != nil && it.d.shard.Load() != sh {
		return false
	}
	sh.add(it)
	return true
}

// add queues an item; mu is held.
func (sh *shard) add(it item) {
	sh.list = append(sh.list, it)
	if len(sh.list) == 1 {
		select {
		case sh.wake <- struct{}{}:
		default:
		}
	}
}

// post queues an event of the shard itself.
func (sh *shard) post(event func(*batch)) { sh.put(item{event: event}) }

// run works until the hub is stopped and the queue is empty.
func (sh *shard) run(stop <-chan struct{}) {
	var mine []item
	for {
		sh.mu.Lock()
		mine, sh.list = sh.list, mine[:0]
		sh.mu.Unlock()
		for rest := mine; len(rest) > 0; {
			n := min(len(rest), maxBatch)
			sh.work(rest[:n])
			rest = rest[n:]
		}
		clear(mine)
		if len(mine) > 0 {
			continue
		}
		select {
		case <-sh.wake:
		case <-stop:
			return
		}
	}
}

func (sh *shard) work(items []item) {
	b := sh.h.newBatch()
	sh.ctx.b = b
	for i := range items {
		it := &items[i]
		if it.d != nil && it.d.home.Load() != sh { // on its way here
			it.d.held = append(it.d.held, *it)
			continue
		}
		sh.handle(b, it)
	}
	sh.ctx.b = nil
	b.submit(sh.h.ctx)
}

func (sh *shard) handle(b *batch, it *item) {
	if it.event != nil {
		sh.change(b, it.event)
	} else {
		sh.take(b, it)
	}
}

// change runs an event. Events are the hub's own code; one that panics is lost,
// the worker is not.
func (sh *shard) change(b *batch, event func(*batch)) {
	defer func() {
		if p := recover(); p != nil {
			sh.h.logger.Error("event panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	event(b)
}

// take handles one message and notes its result.
func (sh *shard) take(b *batch, it *item) {
	r := result{s: it.s, d: it.s.d, done: it.done, from: len(b.answers), size: it.size, qos: it.m.QoS}
	m := b.mark()
	if r.err = sh.serve(b, it, &r); r.err != nil {
		b.back(m)
	}
	r.to = len(b.answers)
	if subs := it.subs; subs != nil {
		b.then(func(error) { subs.drop(sh.h) })
	}
	b.results = append(b.results, r)
}

// serve runs the handler of a message and turns a panic into the loss of the
// one connection that provoked it.
func (sh *shard) serve(b *batch, it *item, r *result) (err error) {
	defer func() {
		if p := recover(); p != nil {
			sh.h.logger.Error("handler panicked", "device", it.s.d.key, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("hub: handler panicked: %v", p)
		}
	}()
	return sh.uplink(b, it, r)
}

// workContext is the context handlers run with. It knows the batch, so that the
// hub's own handlers change state in the commit of the message.
type workContext struct {
	context.Context
	sh *shard
	b  *batch
	s  *session
	// subs is what a gateway's request about sub-devices is about.
	subs *subRequest
	m    *iot.Message // what the handler serves

	recorded bool   // the handler put it into the message log itself
	why      string // what of the message breaks the thing model, when it was refused for that
}

// record puts what the handler accepted of a request into the message log, as a
// message of d with the params given, in place of the bytes that arrived.
func (w *workContext) record(d *device, r *alink.Request, params []byte) {
	m := iot.Message{Topic: topic.Sys(d.id, r.Topic.Path), QoS: w.m.QoS}
	method, _ := alink.MethodOf(r.Topic.Path)
	id, via := r.MessageID, ""
	if d != w.s.d {
		id, via = w.sh.h.ids.next(w.b.now), w.s.d.key
	}
	w.b.record(d, via, id, &m, alink.AppendCall(nil, &alink.Call{ID: r.ID, Version: r.Version, Method: method, Params: params}))
	w.recorded = true
}

// refuse answers a message that breaks the thing model.
func (w *workContext) refuse(bad []*tsl.Reason) alink.Reply {
	w.why = reasons(bad)
	return refused(bad)
}

// changed has the values of d stored with the batch; d.mu is held.
func (w *workContext) changed(d *device) {
	if !d.values.dirty {
		d.values.dirty = true
		w.b.dirty = append(w.b.dirty, d)
	}
	w.b.desiredPosted(d)
}

type workKey struct{}

// Value implements context.Context.
func (c *workContext) Value(key any) any {
	if key == (workKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// work returns the running handler's context, nil outside of one.
func work(ctx context.Context) *workContext {
	c, _ := ctx.Value(workKey{}).(*workContext)
	return c
}
