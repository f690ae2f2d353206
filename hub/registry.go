// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

// registry holds the devices that are in memory, spread over buckets so that
// connecting devices do not queue for one lock.
type registry struct {
	seed    maphash.Seed
	buckets [64]bucket
}

type bucket struct {
	mu      sync.Mutex
	devices map[iot.DeviceID]*device
}

func newRegistry() *registry {
	r := &registry{seed: maphash.MakeSeed()}
	for i := range r.buckets {
		r.buckets[i].devices = make(map[iot.DeviceID]*device)
	}
	return r
}

func (r *registry) hash(id iot.DeviceID) uint64 { return maphash.Comparable(r.seed, id) }

// each calls f for every device in memory, holding a reference to it.
func (h *Hub) each(f func(*device)) {
	var some []*device
	for i := range h.devices.buckets {
		b := &h.devices.buckets[i]
		b.mu.Lock()
		for _, d := range b.devices {
			select {
			case <-d.loaded:
				if d.err == nil {
					d.refs++
					some = append(some, d)
				}
			default:
			}
		}
		b.mu.Unlock()
		for _, d := range some {
			f(d)
			h.release(d)
		}
		some = some[:0]
	}
}

func unknownDevice(id iot.DeviceID) error {
	return fmt.Errorf("%w %.160q", ErrUnknownDevice, id.String())
}

// acquire returns the device with a reference that release gives back, loading
// it when it is not in memory. The error wraps ErrUnknownProduct or
// ErrUnknownDevice, or is the store's.
func (h *Hub) acquire(ctx context.Context, id iot.DeviceID) (*device, error) {
	p, err := h.product(id.Product)
	if err != nil {
		return nil, err
	}
	sum := h.devices.hash(id)
	b := &h.devices.buckets[sum%uint64(len(h.devices.buckets))]
	b.mu.Lock()
	d := b.devices[id]
	if d != nil {
		d.refs++
		b.mu.Unlock()
		select {
		case <-d.loaded:
		case <-ctx.Done():
			h.release(d)
			return nil, ctx.Err()
		}
		if d.err != nil {
			h.release(d)
			return nil, d.err
		}
		return d, nil
	}
	d = newDevice(p, id)
	b.devices[d.id] = d
	b.mu.Unlock()
	d.err = h.load(ctx, d)
	close(d.loaded)
	if d.err != nil {
		h.release(d)
		return nil, d.err
	}
	return d, nil
}

func newDevice(p *product, id iot.DeviceID) *device {
	key := id.String() // one string for both names: the caller's may be a view of a buffer
	own := iot.DeviceID{Product: key[:len(id.Product)], Name: key[len(id.Product)+1:]}
	return &device{id: own, key: key, product: p, refs: 1, loaded: make(chan struct{})}
}

// retain adds a reference to a device the caller has one of.
func (h *Hub) retain(d *device) {
	b := &h.devices.buckets[h.devices.hash(d.id)%uint64(len(h.devices.buckets))]
	b.mu.Lock()
	d.refs++
	b.mu.Unlock()
}

// release gives a reference back. A device nobody refers to leaves memory.
func (h *Hub) release(d *device) {
	b := &h.devices.buckets[h.devices.hash(d.id)%uint64(len(h.devices.buckets))]
	b.mu.Lock()
	d.refs--
	if d.refs == 0 && b.devices[d.id] == d {
		delete(b.devices, d.id)
	}
	b.mu.Unlock()
}

// load reads what the store has of d. Nobody else uses d yet.
func (h *Hub) load(ctx context.Context, d *device) error {
	e, err := h.store.Get(ctx, deviceKey(prefixDevice, d.id))
	if errors.Is(err, store.ErrNotFound) {
		return unknownDevice(d.id)
	}
	if err != nil {
		return fmt.Errorf("hub: load %v: %w", d.id, err)
	}
	if err := decodeJSON(e.Value, &d.rec); err != nil {
		return fmt.Errorf("hub: device record %v: %w", d.id, err)
	}
	if err := h.unseal(d); err != nil {
		return err
	}
	place := d.id
	if d.rec.Gateway != "" {
		place = splitKey(d.rec.Gateway)
	}
	d.settle(h.shardOf(place))
	if err := h.loadSession(ctx, d); err != nil {
		return err
	}
	return h.loadQueue(ctx, d)
}

// peek returns the device with a reference if it is in memory.
func (h *Hub) peek(id iot.DeviceID) *device {
	b := &h.devices.buckets[h.devices.hash(id)%uint64(len(h.devices.buckets))]
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.devices[id]
	if d == nil {
		return nil
	}
	select {
	case <-d.loaded:
	default:
		return nil
	}
	if d.err != nil {
		return nil
	}
	d.refs++
	return d
}
