// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"context"
	"sync"
	"time"

	"github.com/openalink/iot/internal/tokens"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/store"
)

// group gives the messages of a group to its consumers. While it has none it reads
// nothing and holds nothing but its place.
type group struct {
	queues *Queues
	def    Group

	flushing sync.Mutex
	stored   string // the place as it was written last

	mu        sync.Mutex
	place     place // while nobody consumes
	entries   []*entry
	bytes     int
	read      uint64 // the log is read up to here
	lines     map[string]*line
	ready     []*line
	consumers map[*Consumer]bool
	changed   chan struct{} // closed when something is ready, or there is room
	stop      context.CancelFunc
	stopped   chan struct{} // closed when reader and flusher have ended
	closed    bool
	deleted   bool
	counts    counts
}

type counts struct{ delivered, again, dead uint64 }

// entry is an entry of the log some of whose messages are not done.
type entry struct {
	offset uint64
	left   int
	size   int
}

// line is the messages of a device, in order. Only the first is ever given out.
type line struct {
	items []*item
}

// item is a message in a line.
type item struct {
	sql.Message
	of       *entry
	line     *line
	tries    int
	owner    *Consumer // who has it
	deadline *time.Timer
}

func newGroup(q *Queues, def Group, p place) *group {
	return &group{queues: q, def: def, place: p, consumers: map[*Consumer]bool{}}
}

// maxBytes bounds what a group holds in memory.
const maxBytes = 16 << 20

// wake tells those who wait. mu is held.
func (g *group) wake() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// news returns what wake closes. mu is held.
func (g *group) news() <-chan struct{} {
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.changed
}

// begin starts reading for the first consumer. mu is held.
func (g *group) begin() {
	ctx, cancel := context.WithCancel(g.queues.ctx)
	g.stop, g.stopped = cancel, make(chan struct{})
	g.lines, g.read = map[string]*line{}, g.place.next
	from, stopped := g.place, g.stopped
	var both sync.WaitGroup
	both.Go(func() { g.follow(ctx, from) })
	both.Go(func() { g.flushNowAndThen(ctx) })
	g.queues.wait.Go(func() {
		both.Wait()
		close(stopped)
	})
}

// end stops reading when the last consumer is gone, and lets go of everything but
// the place. mu is held.
func (g *group) end() {
	g.stop()
	g.place = g.where()
	g.entries, g.bytes, g.lines, g.ready = nil, 0, nil, nil
}

// where is the place. mu is held.
func (g *group) where() place {
	if g.lines == nil {
		return g.place
	}
	p := place{next: g.read}
	if len(g.entries) > 0 {
		p.next = g.entries[0].offset
	}
	for _, e := range g.entries {
		if e.left == 0 {
			p.done = append(p.done, e.offset)
		}
	}
	// What was done in an earlier run and is not read again yet.
	for _, offset := range g.place.done {
		if offset >= g.read {
			p.done = append(p.done, offset)
		}
	}
	return p
}

// follow reads the log from a place on.
func (g *group) follow(ctx context.Context, from place) {
	c := &g.queues.config
	for {
		g.mu.Lock()
		next := g.read
		g.mu.Unlock()
		for e, err := range c.Source.Read(ctx, next, g.def.wants, true) {
			if err != nil {
				if ctx.Err() == nil {
					c.Logger.Error("queue: reading the message log", "group", g.def.ID, "error", err)
				}
				break
			}
			if g.add(ctx, &e, from) != nil {
				return
			}
		}
		if tokens.Sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// add puts an entry's messages into the lines of their devices, when there is room.
func (g *group) add(ctx context.Context, e *rules.Entry, from place) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.entries) >= g.queues.config.Window || g.bytes >= maxBytes {
		if !g.blocked() {
			break
		}
		news := g.news()
		g.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
		}
		g.mu.Lock()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	g.read = e.Offset + 1
	if from.has(e.Offset) {
		if e.Offset >= from.next && len(g.entries) > 0 {
			g.entries = append(g.entries, &entry{offset: e.Offset}) // still behind one that is not done
		}
		return nil
	}
	en := &entry{offset: e.Offset}
	for i := range e.Messages {
		if m := e.Messages[i]; g.def.wants(m.Topic) {
			en.left++
			en.size += len(m.Payload)
			g.enqueue(&item{Message: m, of: en})
		}
	}
	if en.left > 0 {
		g.entries = append(g.entries, en)
		g.bytes += en.size
	}
	return nil
}

// blocked reports whether waiting makes sense: a window full of what is done behind
// one message that is not must not hold up other devices.
func (g *group) blocked() bool {
	open := 0
	for _, e := range g.entries {
		if e.left > 0 {
			open++
		}
	}
	return open >= g.queues.config.Window || g.bytes >= maxBytes || len(g.entries) >= 16*g.queues.config.Window
}

func (g *group) enqueue(it *item) {
	key := it.Device.String()
	l := g.lines[key]
	if l == nil {
		l = &line{}
		g.lines[key] = l
	}
	it.line = l
	if l.items = append(l.items, it); len(l.items) == 1 {
		g.ready = append(g.ready, l)
		g.wake()
	}
}

// finish takes a message out. mu is held.
func (g *group) finish(it *item) {
	l := it.line
	l.items[0] = nil
	if l.items = l.items[1:]; len(l.items) > 0 {
		g.ready = append(g.ready, l)
	} else {
		delete(g.lines, it.Device.String())
	}
	if it.of.left--; it.of.left == 0 {
		g.bytes -= it.of.size
	}
	n := 0
	for n < len(g.entries) && g.entries[n].left == 0 {
		g.entries[n] = nil
		n++
	}
	g.entries = g.entries[n:]
	g.wake()
}

// flushNowAndThen writes the place down until ctx ends.
func (g *group) flushNowAndThen(ctx context.Context) {
	t := time.NewTicker(g.queues.config.FlushEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if err := g.flush(ctx); err != nil && ctx.Err() == nil {
			g.queues.config.Logger.Error("queue: writing a place", "group", g.def.ID, "error", err)
		}
	}
}

// flush writes the place down if it changed.
func (g *group) flush(ctx context.Context) error {
	g.flushing.Lock()
	defer g.flushing.Unlock()
	g.mu.Lock()
	value := g.where().encode()
	gone := g.deleted
	g.mu.Unlock()
	if gone || string(value) == g.stored {
		return nil
	}
	var b store.Batch
	b.Put(placeKey(g.def.ID), value)
	if err := store.Commit(ctx, g.queues.config.Store, &b); err != nil {
		return err
	}
	g.stored = string(value)
	return nil
}
