// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"sync"

	iot "github.com/openalink/iot"
)

// A device belongs to one shard while it is in memory: a bound sub-device to the
// shard of its gateway, so that one queue keeps its messages behind its login and
// one commit can hold both; every other device to the shard its name gives. A
// gateway that takes a device which is in memory elsewhere brings it over first:
//
//  1. the device points to the new shard, and a last event goes into the old
//     one's queue, in one step, so nothing is queued behind that event;
//  2. the new shard puts aside what arrives for the device;
//  3. the old worker runs the last event and its batch commits, with everything
//     the device did there;
//  4. the new worker takes what was put aside, in order.

// shardOf returns the shard a name gives.
func (h *Hub) shardOf(id iot.DeviceID) *shard {
	return h.shards[(h.devices.hash(id)>>32)%uint64(len(h.shards))]
}

// settle puts a device that is not shared yet on a shard.
func (d *device) settle(sh *shard) {
	d.shard.Store(sh)
	d.home.Store(sh)
}

// post queues an event of d in line with everything else about it.
func (d *device) post(event func(*batch)) { d.put(item{d: d, event: event}) }

func (d *device) put(it item) {
	for !d.shard.Load().put(it) {
	}
}

// moveTo starts to bring d to another shard. The caller's pin makes sure that
// one move of a device ends before the next begins.
func (h *Hub) moveTo(d *device, from, to *shard) {
	h.retain(d)
	from.mu.Lock()
	defer from.mu.Unlock()
	d.shard.Store(to)
	from.add(item{d: d, event: func(b *batch) {
		d.home.Store(nil)
		b.then(func(error) { to.post(func(b *batch) { h.arrive(b, d, to) }) })
	}})
}

// arrive makes a device that was brought over at home and runs what waited for it.
func (h *Hub) arrive(b *batch, d *device, sh *shard) {
	d.home.Store(sh)
	held := d.held
	d.held = nil
	for i := range held {
		sh.handle(b, &held[i])
	}
	h.unpin(d)
	b.then(func(error) { h.release(d) })
}

// pins keeps devices on the shard where a request about them waits.
type pins struct {
	mu   sync.Mutex
	all  map[*device]*pin
	news chan struct{} // closed when a pin ends
}

type pin struct {
	to *shard
	n  int
}

// tell wakes those who wait; mu is held.
func (p *pins) tell() {
	if p.news != nil {
		close(p.news)
		p.news = nil
	}
}

// wait returns what is closed at the next change; mu is held.
func (p *pins) wait() <-chan struct{} {
	if p.news == nil {
		p.news = make(chan struct{})
	}
	return p.news
}

// pin brings d to a shard and keeps it there until unpin. It waits until d is
// there, before that while a request on another shard has it. Whoever pins
// several devices does so in the order of their names.
func (h *Hub) pin(ctx context.Context, d *device, to *shard) error {
	p := &h.pins
	for {
		p.mu.Lock()
		if p.all == nil {
			p.all = make(map[*device]*pin)
		}
		held := p.all[d]
		if held == nil {
			held = &pin{to: to}
			p.all[d] = held
		}
		if held.to == to {
			if from := d.shard.Load(); from != to {
				held.n++ // of the move
				h.moveTo(d, from, to)
			}
			if d.home.Load() == to {
				held.n++
				p.mu.Unlock()
				return nil
			}
		}
		news := p.wait()
		p.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		case <-h.stopped:
			return ErrClosed
		}
	}
}

func (h *Hub) unpin(d *device) {
	p := &h.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	held := p.all[d]
	if held.n--; held.n == 0 {
		delete(p.all, d)
		p.tell()
	}
}

// settled waits until no device is between two shards and no request is ready.
func (h *Hub) settled(ctx context.Context) {
	p := &h.pins
	for {
		p.mu.Lock()
		if len(p.all) == 0 {
			p.mu.Unlock()
			return
		}
		news := p.wait()
		p.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}
