// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
	m      iot.Message
	from   *conn
	number uint64 // of those that came
	ack    func() // the broker may forget it; nil for QoS 0
}

// lane hands a client's messages to its session, one at a time, on a goroutine
// that lives while there are any.
type lane struct {
	c *client

	mu      sync.Mutex
	queue   []inbound // by number
	under   int       // messages the session has, or is about to have
	back    []inbound // those it did not keep, because it is about to end
	running bool
	held    bool // until the client before this one is done
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
	l.start()
	return true, false
}

// start runs the lane if it has to; l.mu is held.
func (l *lane) start() {
	if !l.running && !l.held && !l.closed && len(l.queue) > 0 {
		l.running = l.c.s.run(l.run)
	}
}

func (l *lane) run() {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || l.closed {
			l.running = false
			l.mu.Unlock()
			return
		}
		in := l.queue[0]
		l.queue[0] = inbound{}
		l.queue = l.queue[1:]
		l.under++
		l.mu.Unlock()
		l.tell()
		l.c.receive(in)
	}
}

// hold keeps the lane from running until adopt.
func (l *lane) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// adopt takes what another client left, in front of what came since. It returns it
// when the client is gone too.
func (l *lane) adopt(list []inbound) (rest []inbound) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	if l.closed {
		return list
	}
	l.queue = append(l.queue, list...)
	slices.SortFunc(l.queue, func(a, b inbound) int { return cmp.Compare(a.number, b.number) })
	l.start()
	return nil
}

// settled notes that the session is done with a message.
func (l *lane) settled() {
	l.mu.Lock()
	l.under--
	last := l.closed && l.under == 0
	l.mu.Unlock()
	if last {
		l.c.s.released(l.c)
	}
}

// giveBack takes a message that the session did not keep because it ends.
func (l *lane) giveBack(in inbound) {
	l.mu.Lock()
	if !l.closed {
		l.back = append(l.back, in)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.c.s.leave(l.c, []inbound{in}, true)
}

// empty reports whether every message is done.
func (l *lane) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.under == 0 && len(l.queue) == 0
}

func (l *lane) tell() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// close returns what is left, and whether the session still has some.
func (l *lane) close() (rest []inbound, busy bool) {
	l.mu.Lock()
	l.closed = true
	rest, busy = append(l.back, l.queue...), l.under > 0
	l.back, l.queue = nil, nil
	l.mu.Unlock()
	l.tell()
	return rest, busy
}

// receive gives one message to the session.
func (c *client) receive(in inbound) {
	defer c.recovered("receive")
	settled := sync.OnceFunc(c.lane.settled) // who panics may have called done
	taken := false
	defer func() {
		if !taken { // or it panicked, and would again
			in.finish()
			settled()
		}
	}()
	sess, err := c.listening(in)
	if err != nil {
		if taken = c.keep(in); taken {
			settled()
		}
		return
	}
	defer c.giveTurn()
	// What the platform itself published comes back too; what a device may not say
	// the broker did not let it.
	if sess.Authorize(topic.Pub, in.m.Topic) != nil {
		return
	}
	sess.Receive(c.s.base, in.m, func(answers []iot.Message, err error) {
		defer settled()
		c.received(in, answers, err)
	})
	taken = true
}

// keep decides about a message the client has no session for. It reports whether
// somebody else has it: the broker, or who comes next.
func (c *client) keep(in inbound) bool {
	switch {
	case in.ack == nil:
		c.s.dropped.Add(1)
		return false
	case in.from.over(): // the broker sends it again
	case c.leaving():
		c.lane.giveBack(in)
	default: // what the client showed when it logged in is no good any more
		return false
	}
	return true
}

const (
	minPause = 50 * time.Millisecond
	maxPause = time.Second
)

// listening returns the session, and the turn with it. While the platform cannot
// open one, which is for a moment, a message of QoS 1 waits.
func (c *client) listening(in inbound) (hal.Session, error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		if in.ack != nil && in.from.over() {
			return nil, errLost
		}
		sess, err := c.awakeWithTurn()
		if err == nil || in.ack == nil || !passing(err) {
			return sess, err
		}
		select {
		case <-time.After(pause):
		case <-in.from.ctx.Done():
		case <-c.s.base.Done():
			return nil, err
		}
	}
}

func (c *client) awakeWithTurn() (sess hal.Session, err error) {
	ctx, cancel := context.WithTimeout(c.s.base, c.s.cfg.Timeout)
	defer cancel()
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	awake := false
	defer func() {
		if !awake {
			c.giveTurn()
		}
	}()
	sess, err = c.awakeInTurn(ctx)
	awake = err == nil
	return sess, err
}

// passing reports whether an error of Connect may not be there the next time.
func passing(err error) bool {
	r, refused := errors.AsType[*hal.RefusedError](err)
	return !refused && !errors.Is(err, errEnded) && !errors.Is(err, errUnknown) || refused && r.Reason == hal.Unavailable
}

// received is the done of a message: it never blocks.
func (c *client) received(in inbound, answers []iot.Message, err error) {
	if _, rejected := errors.AsType[*hal.RejectedError](err); err != nil && !rejected {
		switch {
		case in.ack == nil:
		case c.leaving():
			c.lane.giveBack(in)
		default:
			c.s.cfg.Logger.Warn("message not kept, the broker is asked to repeat it", "client", clip(c.id), "err", err)
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
