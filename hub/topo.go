// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/store"
)

// CauseUnbound is why a sub-device's session ended that does not belong to the
// gateway any more.
const CauseUnbound hal.Cause = "unbound"

// topology is what a gateway keeps in memory of its sub-devices. Who they are
// stands in their own records, and in an index.
type topology struct{ n int }

func topoKey(gw string, id iot.DeviceID) []byte {
	return id.Append(append(append([]byte(prefixTopo), gw...), '/'))
}

// topoRange are the bounds of a gateway's part of the index.
func topoRange(gw string) (from, to []byte) {
	return []byte(prefixTopo + gw + "/"), []byte(prefixTopo + gw + "0")
}

// loadTopology counts the sub-devices of a gateway once; the worker calls it.
func (h *Hub) loadTopology(ctx context.Context, gw *device) error {
	if gw.topo != nil {
		return nil
	}
	t := &topology{}
	from, to := topoRange(gw.key)
	for _, err := range h.store.Range(ctx, from, to) {
		if err != nil {
			return fmt.Errorf("hub: topology of %v: %w", gw.id, err)
		}
		t.n++
	}
	gw.topo = t
	return nil
}

// bind makes d a sub-device of gw. The worker of both calls it with neither lock
// held. A sub-device of another gateway leaves that one: whoever shows its
// signature has it.
func (h *Hub) bind(b *batch, gw, d *device) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec.Gateway == gw.key {
		return
	}
	h.unbind(b, d, hal.CauseKicked)
	d.rec.Gateway = gw.key
	b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
	b.st.Put(topoKey(gw.key, d.id), encodeJSON(b.now.UTC()))
	b.touch(d)
	b.touch(gw)
	gw.topo.n++
}

// unbind takes a sub-device from its gateway, and ends its session there; its
// lock is held. The caller stores the record.
func (h *Hub) unbind(b *batch, d *device, cause hal.Cause) {
	if d.rec.Gateway == "" {
		return
	}
	if s := d.sess; s != nil && s.via != nil {
		s.endNow(b, cause)
	}
	h.unbound(b, d)
	d.rec.Gateway = ""
	b.touch(d)
}

// unbound takes a sub-device out of what its gateway has; its lock is held.
func (h *Hub) unbound(b *batch, d *device) {
	b.st.Delete(topoKey(d.rec.Gateway, d.id))
	if gw := h.peek(splitKey(d.rec.Gateway)); gw != nil {
		h.uncount(b, gw, d.home.Load())
	}
}

// uncount takes one from the number of a gateway's sub-devices, at once when the
// worker is the gateway's. The reference to gw goes.
func (h *Hub) uncount(b *batch, gw *device, mine *shard) {
	less := func(*batch) {
		if gw.topo != nil {
			gw.topo.n--
		}
	}
	if gw.home.Load() == mine {
		less(b)
		b.touch(gw)
		b.then(func(error) { h.release(gw) })
		return
	}
	b.then(func(err error) {
		if err == nil {
			gw.post(less)
		}
		h.release(gw)
	})
}

// endNow ends a session from its worker; the device's lock is held.
func (s *session) endNow(b *batch, cause hal.Cause) {
	if s.cause.CompareAndSwap(nil, &cause) {
		s.wake()
	}
	s.stop(b)
}

// checkMember demands that the sub-device is there and bound to gw.
func (h *Hub) checkMember(ctx context.Context, gw *device, e *sub) error {
	if e.d == nil {
		return h.notThere(ctx, gw, e.id)
	}
	if e.d.gateway() != gw.key {
		return codeError(alink.CodeTopoMissing, "")
	}
	return nil
}

// notThere is the answer about a device that does not exist: one that was deleted
// while it was a sub-device of gw is told apart.
func (h *Hub) notThere(ctx context.Context, gw *device, id iot.DeviceID) error {
	e, err := h.store.Get(ctx, deviceKey(prefixDeleted, id))
	if err == nil {
		var had string
		if decodeJSON(e.Value, &had) == nil && had == gw.key {
			return codeError(alink.CodeDeleted, "")
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return codeError(alink.CodeInternal, "")
	}
	return codeError(alink.CodeDeviceNotFound, "")
}

// gateway returns the key of the gateway a device is bound to.
func (d *device) gateway() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rec.Gateway
}

func (h *Hub) checkTopoAdd(ctx context.Context, gw *device, e *sub) error {
	if e.d == nil {
		return h.notThere(ctx, gw, e.id)
	}
	if h.often(e.d) {
		return codeError(alink.CodeRateLimited, "")
	}
	if err := h.verifySub(ctx, e, alink.CodeUnauthorized); err != nil {
		return err
	}
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	if e.d.rec.Disabled {
		return codeError(alink.CodeDeviceDisabled, "")
	}
	return nil
}

// topoAdd serves thing.topo.add (wire facts section 12.4): all entries or none.
func (h *Hub) topoAdd(ctx context.Context, r *alink.Request) alink.Reply {
	w, req, err := subRequestOf(ctx)
	if err == nil {
		err = h.join(ctx, w.b, w.s.d, req)
	}
	if err != nil {
		return alink.ErrorReply(err)
	}
	h.forwardTopology(w.b, w.s.d, "create", req.devices())
	return alink.OK(jsonText(req.names()))
}

// join binds the sub-devices of a request to gw.
func (h *Hub) join(ctx context.Context, b *batch, gw *device, req *subRequest) error {
	if err := h.loadTopology(ctx, gw); err != nil {
		h.logger.Error("topology does not load", "device", gw.key, "error", err)
		return codeError(alink.CodeInternal, "")
	}
	fresh := 0
	for _, e := range req.subs {
		switch {
		case e.d.isGone():
			return codeError(alink.CodeDeviceNotFound, "")
		case e.d.gateway() != gw.key:
			fresh++
		}
	}
	if most := h.limits.SubDevices; most > 0 && gw.topo.n+fresh > most {
		return codeError(alink.CodeTopoFull, "")
	}
	for _, e := range req.subs {
		h.bind(b, gw, e.d)
	}
	return nil
}

func (d *device) isGone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

// topoDelete serves thing.topo.delete.
func (h *Hub) topoDelete(ctx context.Context, _ *alink.Request) alink.Reply {
	w, req, err := subRequestOf(ctx)
	if err == nil {
		err = h.leave(w.b, w.s.d, req)
	}
	if err != nil {
		return alink.ErrorReply(err)
	}
	h.forwardTopology(w.b, w.s.d, "delete", req.devices())
	return alink.OK(jsonText(req.names()))
}

// leave takes the sub-devices of a request from gw.
func (h *Hub) leave(b *batch, gw *device, req *subRequest) error {
	for _, e := range req.subs {
		if e.d.gateway() != gw.key {
			return codeError(alink.CodeTopoMissing, "")
		}
	}
	for _, e := range req.subs {
		e.d.mu.Lock()
		h.unbind(b, e.d, CauseUnbound)
		b.st.Put(deviceKey(prefixDevice, e.d.id), encodeJSON(e.d.rec))
		e.d.mu.Unlock()
	}
	return nil
}

// topoGet serves thing.topo.get. What the params are does not matter (wire facts
// section 1 row 42).
func (h *Hub) topoGet(ctx context.Context, _ *alink.Request) alink.Reply {
	list := []deviceName{}
	for id, err := range h.topology(ctx, work(ctx).s.d.key) {
		if err != nil {
			return alink.ErrorReply(err)
		}
		list = append(list, nameOf(id))
	}
	return alink.OK(jsonText(list))
}

// topology yields the sub-devices bound to a gateway, by name, as they are durable.
func (h *Hub) topology(ctx context.Context, gw string) iter.Seq2[iot.DeviceID, error] {
	return func(yield func(iot.DeviceID, error) bool) {
		from, to := topoRange(gw)
		for e, err := range h.store.Range(ctx, from, to) {
			var id iot.DeviceID
			if err == nil {
				id = splitKey(string(e.Key[len(from):]))
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// listFound serves thing.list.found. Its place in the message log is how the
// application hears of devices a gateway found; AskToAdd is its answer (wire facts
// section 12.5).
func (h *Hub) listFound(ctx context.Context, r *alink.Request) alink.Reply {
	if !work(ctx).s.d.product.gateway {
		return alink.Reply{Code: alink.CodeUnauthorized, Message: "not a gateway"}
	}
	list := elements(alink.LenientParams(r.Params))
	if len(list) == 0 || len(list) > h.limits.SubRequests {
		return badParams("params must name devices")
	}
	for _, raw := range list {
		e, err := alink.ParseSigned(raw)
		id := e.Device()
		switch {
		case err != nil || id.Product == "" || id.Name == "":
			return badParams("params must name devices")
		case iot.CheckDeviceName(id.Name) != nil:
			return alink.Reply{Code: alink.CodeBadDeviceName}
		}
		if _, err := h.product(id.Product); err != nil {
			return alink.Reply{Code: alink.CodeProductNotFound}
		}
	}
	return alink.OK(nil)
}
