// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"sync"

	"github.com/openalink/iot/hal"
)

// relay is the link to a sub-device: its gateway's.
type relay struct{ s *session }

// Send implements hal.Link. Sub-devices have queues, and so packet ids, of their
// own; on the gateway's connection each delivery gets another id that is free.
func (r relay) Send(ctx context.Context, d hal.Delivery, done func(error)) {
	via := r.s.via
	if d.PacketID == 0 {
		via.link.Send(ctx, d, done)
		return
	}
	p := &via.gw.packets
	id, ok := p.take()
	if !ok {
		done(hal.ErrFull)
		return
	}
	d.PacketID = id
	via.link.Send(ctx, d, func(err error) {
		p.give(id)
		done(err)
	})
}

// Close implements hal.Link: it ends the session, not the gateway's connection.
func (r relay) Close(cause hal.Cause) { r.s.end(cause) }

// The packet ids of a gateway's connection: queues give the lower half (queue.add),
// the upper half is for what goes to sub-devices.
const maxOwnPacket = 1<<15 - 1

// packets are the ids in use for sub-devices.
type packets struct {
	mu   sync.Mutex
	last uint16
	used map[uint16]struct{}
}

func (p *packets) take() (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.used) >= maxOwnPacket {
		return 0, false
	}
	if p.used == nil {
		p.used = make(map[uint16]struct{})
	}
	for {
		if p.last++; p.last <= maxOwnPacket {
			p.last = maxOwnPacket + 1
		}
		if _, taken := p.used[p.last]; !taken {
			p.used[p.last] = struct{}{}
			return p.last, true
		}
	}
}

func (p *packets) give(id uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, id)
}
