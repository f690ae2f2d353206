// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
)

// errInHandler is what a change of a device answers inside a handler: the
// handler runs on the worker the change would wait for.
var errInHandler = errors.New("hub: a handler must not wait for changes of devices; start a goroutine")

// do runs change on d's worker, in line with the device's messages, and waits
// until what it put into the batch is durable. When change returns an error
// nothing is committed. When ctx ends first the change may still happen.
func (h *Hub) do(ctx context.Context, d *device, change func(*batch) error) error {
	return h.doUnlocked(ctx, d, func(b *batch) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		return change(b)
	})
}

// doUnlocked is do for changes of several devices, which lock them by themselves.
func (h *Hub) doUnlocked(ctx context.Context, d *device, change func(*batch) error) error {
	if work(ctx) != nil {
		return errInHandler
	}
	result := make(chan error, 1)
	h.retain(d)
	d.post(func(b *batch) {
		b.then(func(error) { h.release(d) })
		if d.gone {
			result <- unknownDevice(d.id)
			return
		}
		m := b.mark()
		err := change(b)
		if err != nil {
			b.back(m)
			result <- err
			return
		}
		b.touch(d)
		b.then(func(err error) { result <- err })
	})
	select {
	case err := <-result:
		if err != nil && errors.Is(err, context.Canceled) {
			return fmt.Errorf("%w: %w", ErrClosed, err)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stopped:
		return ErrClosed
	}
}

// distrust reloads devices whose state in memory ran ahead of a commit that
// failed.
func (h *Hub) distrust(devices []*device) {
	for _, d := range devices {
		d.post(func(*batch) {
			fresh := &device{id: d.id}
			if err := h.load(h.ctx, fresh); err != nil {
				h.logger.Error("device does not reload after a failed commit", "device", d.key, "error", err)
				return
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.topo = nil
			d.rec, d.secret, d.stored, d.values = fresh.rec, fresh.secret, fresh.stored, values{}
			d.shadow = nil
			if d.sess == nil {
				d.queue = fresh.queue
			}
		})
	}
}
