// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

// batch is what a worker makes of the items that waited: their state changes and
// log records, committed together, and what is due when that is durable. Batches
// are pooled; in steady state one costs no allocation.
type batch struct {
	h       *Hub
	st      store.Batch
	arena   arena
	now     time.Time
	results []result
	answers []iot.Message // of all results, in order
	dirty   []*device     // devices whose values changed
	touched []*device     // devices whose other state changed
	after   []func(error)
	commit  func(error) // committed, bound once
}

// result is the outcome of one message.
type result struct {
	s        *session
	d        *device // the device the message is of: of s or a sub-device
	done     func([]iot.Message, error)
	err      error
	from, to int // its answers
	size     int
	id       int64
	topic    string // set when the success is to be logged
	qos      iot.QoS
}

func (h *Hub) newBatch() *batch {
	b, _ := h.batches.Get().(*batch)
	if b == nil {
		b = &batch{h: h}
		b.commit = b.committed
	}
	b.now = time.Now()
	return b
}

// record appends a message to the message log.
func (b *batch) record(d *device, via string, id int64, m *iot.Message, payload []byte) {
	if via == "" && d.sess != nil && d.sess.via != nil {
		via = d.sess.via.d.key
	}
	v := b.arena.grab(messageSize(via, m.Topic, payload))
	b.st.Append(streamMessages, d.key, b.now, appendMessage(v, id, via, m.QoS, m.Topic, payload))
}

// answer queues a message for the device behind the current item.
func (b *batch) answer(topic, payload []byte) {
	b.answers = append(b.answers, iot.Message{Topic: text(topic), Payload: payload})
}

// touch notes that d's record, session or queue changed in this batch.
func (b *batch) touch(d *device) { b.touched = append(b.touched, d) }

// then runs f after the commit, on the committing goroutine: it must be quick
// and must neither take a device's lock nor wait.
func (b *batch) then(f func(error)) { b.after = append(b.after, f) }

// submit commits the batch. It blocks while the store's queue is full.
func (b *batch) submit(ctx context.Context) {
	for _, d := range b.dirty {
		d.mu.Lock()
		d.values.dirty = false
		v := d.values.append(b.arena.grab(d.values.size()))
		d.mu.Unlock()
		key := b.arena.grab(len(prefixValues) + len(d.key))
		b.st.Put(append(append(key, prefixValues...), d.key...), v)
	}
	if b.st.IsEmpty() {
		b.committed(nil)
		return
	}
	if err := b.h.store.Submit(ctx, &b.st, b.commit); err != nil {
		b.committed(err)
	}
}

// committed tells everybody concerned how the commit went. It runs on the
// store's goroutine.
func (b *batch) committed(err error) {
	for i := range b.results {
		r := &b.results[i]
		switch {
		case err != nil:
			r.done(nil, err)
		case r.err != nil:
			r.done(nil, r.err)
		default:
			r.done(b.answers[r.from:r.to], nil)
		}
		if r.topic != "" {
			b.h.logPublish(r, b.now, err)
		}
		r.s.leave(r.size)
	}
	for _, f := range b.after {
		f(err)
	}
	if err != nil {
		b.h.distrust(append(b.dirty, b.touched...))
	} else if len(b.st.Appends) > 0 {
		b.h.news.tell()
	}
	b.reset()
	b.h.batches.Put(b)
}

// maxPooledResults keeps an unusually large batch from staying in memory.
const maxPooledResults = 4 * maxBatch

func (b *batch) reset() {
	b.st.Reset()
	b.arena.reset()
	clear(b.results)
	clear(b.answers)
	clear(b.dirty)
	clear(b.touched)
	clear(b.after)
	b.results, b.answers, b.dirty = b.results[:0], b.answers[:0], b.dirty[:0]
	b.touched, b.after = b.touched[:0], b.after[:0]
	if cap(b.answers) > maxPooledResults {
		b.answers = nil
	}
}

// mark remembers how much the batch holds, so that a failed item leaves nothing.
type mark struct{ checks, writes, appends, answers, after int }

func (b *batch) mark() mark {
	return mark{len(b.st.Checks), len(b.st.Writes), len(b.st.Appends), len(b.answers), len(b.after)}
}

func (b *batch) back(m mark) {
	b.st.Checks, b.st.Writes, b.st.Appends = b.st.Checks[:m.checks], b.st.Writes[:m.writes], b.st.Appends[:m.appends]
	b.answers, b.after = b.answers[:m.answers], b.after[:m.after]
}

// logPublish makes the entry of a message that somebody watches. Without a
// watcher it is derived from the message log when asked for.
func (h *Hub) logPublish(r *result, now time.Time, err error) {
	e := LogEntry{
		Time: now, MessageID: r.id, Device: r.d.id, Kind: Upstream, Operation: OpPublish,
		Status: Success, Topic: strings.Clone(r.topic),
	}
	if r.d != r.s.d {
		e.Via = r.s.d.id
	}
	if err != nil {
		e.Status, e.Cause, e.Detail = Failure, CauseSystemError, err.Error()
		h.log(e)
		return
	}
	h.observe(e)
}
