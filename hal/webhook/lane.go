// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// maxLane bounds the messages of one client that wait for its session. A broker
// has fewer unacknowledged ones under way, so it is reached with QoS 0 only.
const maxLane = 256

// inbound is a message on its way from the broker to a session.
type inbound struct {
	m    iot.Message
	from *conn
	ack  func() // the broker may forget it; nil for QoS 0
}

// lane hands a client's messages to its session, one at a time, on a goroutine
// that lives while there are any.
type lane struct {
	c *client

	mu      sync.Mutex
	queue   []inbound
	running bool
	closed  bool
	room    chan struct{} // capacity 1: told when the queue got shorter
}

func (l *lane) init(c *client) { l.c, l.room = c, make(chan struct{}, 1) }

// put queues a message. Of QoS 1 it waits for room until ctx ends; QoS 0 without
// room is lost.
func (l *lane) put(ctx context.Context, in inbound) bool {
	for {
		ok, wait := l.try(in)
		if ok || !wait || in.m.QoS == iot.AtMostOnce {
			return ok
		}
		select {
		case <-l.room:
		case <-ctx.Done():
			return false
		}
	}
}

func (l *lane) try(in inbound) (ok, wait bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false, false
	}
	if len(l.queue) >= maxLane {
		return false, true
	}
	l.queue = append(l.queue, in)
	if !l.running {
		l.running = l.c.s.run(l.run)
	}
	return true, false
}

func (l *lane) run() {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || l.closed {
			l.running, l.queue = false, nil
			l.mu.Unlock()
			return
		}
		in := l.queue[0]
		l.queue[0] = inbound{}
		l.queue = l.queue[1:]
		l.mu.Unlock()
		l.tell()
		l.c.receive(in)
	}
}

func (l *lane) tell() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.tell()
}

// How long a message waits for a session that could not be opened again.
const (
	minWake = 100 * time.Millisecond
	maxWake = 5 * time.Second
)

// receive gives one message to the session. Of QoS 1 it waits while the platform
// cannot tell whether the client may have one.
func (c *client) receive(in inbound) {
	for wait := minWake; !c.tryReceive(in); wait = min(2*wait, maxWake) {
		if in.m.QoS == iot.AtMostOnce {
			c.s.dropped.Add(1)
			return
		}
		select {
		case <-time.After(wait):
		case <-in.from.ctx.Done():
			return
		}
	}
}

// tryReceive reports false when the platform could not decide.
func (c *client) tryReceive(in inbound) bool {
	if in.m.QoS != iot.AtMostOnce && in.from.over() {
		return true // the broker sends it again, in the right place
	}
	if c.takeTurn(c.s.base) != nil {
		return true
	}
	defer c.giveTurn()
	defer c.recovered("receive")
	settled := false // by the session, or not to be finished yet
	defer func() {
		if !settled { // or it panicked, and would again
			in.finish()
		}
	}()
	ctx, cancel := context.WithTimeout(c.s.base, c.s.cfg.Timeout)
	sess, err := c.awakeInTurn(ctx)
	cancel()
	switch {
	case err != nil && !c.gone():
		settled = true
		return false
	case err != nil, sess.Authorize(topic.Pub, in.m.Topic) != nil:
		// What the platform itself published comes back too; what a device may not
		// say the broker did not let it.
		return true
	}
	sess.Receive(c.s.base, in.m, func(answers []iot.Message, err error) { c.received(in, answers, err) })
	settled = true
	return true
}

// received is the done of a message: it never blocks.
func (c *client) received(in inbound, answers []iot.Message, err error) {
	if _, rejected := errors.AsType[*hal.RejectedError](err); err != nil && !rejected {
		if c.gone() {
			in.finish()
			return
		}
		c.s.cfg.Logger.Warn("message not kept, the broker is asked to repeat it", "client", clip(c.id), "err", err)
		if in.ack != nil {
			in.from.fail()
		}
		return
	}
	in.finish()
	c.mu.Lock()
	v := c.visit
	c.mu.Unlock()
	if v == nil {
		return
	}
	for _, m := range answers {
		m.QoS = iot.AtMostOnce
		v.Send(c.s.base, hal.Delivery{Message: m}, nil)
	}
}

func (in inbound) finish() {
	if in.ack != nil {
		in.ack()
	}
}
