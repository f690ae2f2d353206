// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/openalink/iot/rules/sql"
)

// JoinOptions are those of a consumer.
type JoinOptions struct {
	// Prefetch is how many messages it may have unanswered, each of another device;
	// zero means 100.
	Prefetch int
}

// Consumer is a member of a group. It is safe for concurrent use.
type Consumer struct {
	group    *group
	prefetch int
	out      map[*item]bool // guarded by group.mu
	closed   chan struct{}
}

// Message is a message given to a consumer, who must answer it with Done, Again or
// Later. Nothing in it changes; its bytes may be kept.
type Message struct {
	sql.Message
	// Tries is how often it was given out in this run, this time included.
	Tries int

	consumer *Consumer
	item     *item
}

// Join adds a consumer to a group. The error wraps ErrUnknownGroup, ErrTooMany or
// ErrClosed.
func (q *Queues) Join(_ context.Context, id string, o JoinOptions) (*Consumer, error) {
	g, err := q.find(id)
	if err != nil {
		return nil, err
	}
	if o.Prefetch <= 0 {
		o.Prefetch = 100
	}
	c := &Consumer{group: g, prefetch: o.Prefetch, out: map[*item]bool{}, closed: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return nil, ErrClosed
	case len(g.consumers) >= MaxConsumers:
		return nil, fmt.Errorf("%w consumers in group %s: allowed are %d", ErrTooMany, id, MaxConsumers)
	}
	if len(g.consumers) == 0 {
		g.begin()
	}
	g.consumers[c] = true
	return c, nil
}

// Messages yields messages until ctx ends or the consumer is closed, then the error
// that says so.
func (c *Consumer) Messages(ctx context.Context) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		for {
			m, err := c.Next(ctx)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Next waits for a message. The error is ctx's or ErrClosed.
func (c *Consumer) Next(ctx context.Context) (*Message, error) {
	g := c.group
	for {
		m, news, err := c.take()
		if err != nil {
			return nil, err
		}
		if m != nil {
			if err := g.queues.rate.Wait(ctx, 1); err != nil {
				g.giveBack(m)
				return nil, err
			}
			return m, nil
		}
		select {
		case <-news:
		case <-c.closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take takes a message that is ready, or returns what to wait for.
func (c *Consumer) take() (*Message, <-chan struct{}, error) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.consumers[c] {
		return nil, nil, ErrClosed
	}
	if len(g.ready) == 0 || len(c.out) >= c.prefetch {
		return nil, g.news(), nil
	}
	it := g.ready[0].items[0]
	g.ready[0] = nil
	g.ready = g.ready[1:]
	it.owner, it.tries = c, it.tries+1
	c.out[it] = true
	try := it.tries
	it.deadline = time.AfterFunc(g.queues.config.AnswerWithin, func() { g.expire(it, try) })
	g.counts.delivered++
	return &Message{Message: it.Message, Tries: try, consumer: c, item: it}, nil, nil
}

// Close leaves the group. What the consumer has unanswered goes to others.
func (c *Consumer) Close() error { return c.group.leave(c) }

func (g *group) leave(c *Consumer) error {
	g.mu.Lock()
	if !g.consumers[c] {
		g.mu.Unlock()
		return nil
	}
	delete(g.consumers, c)
	close(c.closed)
	for it := range c.out {
		g.release(it)
		g.again(it, 0)
	}
	last := len(g.consumers) == 0
	stopped := g.stopped
	if last {
		g.end()
	}
	g.mu.Unlock()
	if !last {
		return nil
	}
	<-stopped
	return g.flush(context.WithoutCancel(g.queues.ctx))
}

// close ends all consumers of a group that is deleted, or whose queues close.
func (g *group) close(deleted bool) {
	g.mu.Lock()
	g.closed, g.deleted = true, deleted
	var all []*Consumer
	for c := range g.consumers {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		if err := g.leave(c); err != nil {
			g.queues.config.Logger.Error("queue: writing a place", "group", g.def.ID, "error", err)
		}
	}
}

// Done says that the message needs nothing more. The error is ErrStale.
func (m *Message) Done() error {
	return m.answer(func(g *group, it *item) { g.finish(it) })
}

// Again gives the message back: it comes again after delay, to any consumer. Its
// device waits meanwhile. The error is ErrStale.
func (m *Message) Again(delay time.Duration) error {
	return m.answer(func(g *group, it *item) { g.again(it, delay) })
}

// Later lifts the deadline: the consumer keeps the message until it answers or
// leaves. The error is ErrStale.
func (m *Message) Later() error {
	g := m.consumer.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if !m.current() {
		return ErrStale
	}
	m.item.deadline.Stop()
	return nil
}

// current reports whether the message still is the consumer's. mu is held.
func (m *Message) current() bool {
	return m.item.owner == m.consumer && m.item.tries == m.Tries
}

func (m *Message) answer(f func(*group, *item)) error {
	g := m.consumer.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if !m.current() {
		return ErrStale
	}
	g.release(m.item)
	f(g, m.item)
	return nil
}

// release takes a message from its owner. mu is held.
func (g *group) release(it *item) {
	it.deadline.Stop()
	delete(it.owner.out, it)
	it.owner = nil
	g.wake() // the owner has room for another
}

// giveBack undoes take.
func (g *group) giveBack(m *Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.current() {
		g.release(m.item)
		m.item.tries--
		g.again(m.item, 0)
	}
}

// expire gives a message nobody answered to another.
func (g *group) expire(it *item, try int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if it.owner != nil && it.tries == try {
		g.release(it)
		g.again(it, 0)
	}
}

// again makes a message ready after delay, or buries it. mu is held.
func (g *group) again(it *item, delay time.Duration) {
	switch {
	case it.tries >= g.queues.config.Tries:
		g.queues.wait.Go(func() { g.bury(it) })
	case delay > 0:
		time.AfterFunc(delay, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.makeReady(it)
		})
	default:
		g.makeReady(it)
	}
}

// makeReady offers a message again, unless the group has let go of it. mu is held.
func (g *group) makeReady(it *item) {
	if !g.holds(it) {
		return
	}
	g.counts.again++
	g.ready = append(g.ready, it.line)
	g.wake()
}

func (g *group) holds(it *item) bool {
	return g.lines[it.Device.String()] == it.line && len(it.line.items) > 0 && it.line.items[0] == it
}
