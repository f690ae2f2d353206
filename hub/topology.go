// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

// gatewayHandlers puts the methods of gateways on the Mux.
func (h *Hub) gatewayHandlers() error {
	for pattern, f := range map[string]alink.HandlerFunc{
		"thing/sub/register":                        h.subRegister,
		"thing/sub/unregister":                      h.subUnregister,
		"thing/proxy/provisioning/product_register": h.productRegister,
		"thing/topo/add":                            h.topoAdd,
		"thing/topo/delete":                         h.topoDelete,
		"thing/topo/get":                            h.topoGet,
		"thing/list/found":                          h.listFound,
		"session/combine/login":                     h.combineLogin,
		"session/combine/logout":                    h.combineLogout,
		"session/combine/batch_login":               h.combineLogin,
		"session/combine/batch_logout":              h.combineLogout,
	} {
		if err := h.mux.Handle(pattern, f); err != nil {
			return err
		}
	}
	return nil
}

// SubDevices yields the sub-devices bound to a gateway, by name.
func (h *Hub) SubDevices(ctx context.Context, gateway iot.DeviceID) iter.Seq2[iot.DeviceID, error] {
	return h.topology(ctx, gateway.String())
}

// GatewayOf returns the gateway a device is bound to, and whether the device is
// logged in through it now; zero for a device that is bound to none. The error
// wraps ErrUnknownDevice.
func (h *Hub) GatewayOf(ctx context.Context, id iot.DeviceID) (gateway iot.DeviceID, online bool, err error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return iot.DeviceID{}, false, err
	}
	defer h.release(d)
	d.mu.Lock()
	defer d.mu.Unlock()
	return splitKey(d.rec.Gateway), d.sess != nil && d.sess.via != nil, nil
}

// AddSubDevices binds devices to a gateway, all or none, and tells a connected
// gateway (thing.topo.change). Devices of another gateway leave that one. Errors
// wrap ErrUnknownDevice, ErrInvalid (not a gateway, or one as sub-device) or
// ErrTooMany.
func (h *Hub) AddSubDevices(ctx context.Context, gateway iot.DeviceID, ids ...iot.DeviceID) error {
	return h.changeTopology(ctx, gateway, ids, "create", func(b *batch, gw *device, req *subRequest) error {
		err := h.join(h.ctx, b, gw, req)
		if errors.Is(err, &alink.CodeError{Code: alink.CodeTopoFull}) {
			return fmt.Errorf("%w sub-devices of %v, at most %d", ErrTooMany, gateway, h.limits.SubDevices)
		}
		return err
	})
}

// RemoveSubDevices takes devices from a gateway, all or none, and tells a
// connected gateway. Those logged in through it are logged out. Errors wrap
// ErrUnknownDevice or ErrInvalid (not bound to it).
func (h *Hub) RemoveSubDevices(ctx context.Context, gateway iot.DeviceID, ids ...iot.DeviceID) error {
	return h.changeTopology(ctx, gateway, ids, "delete", func(b *batch, gw *device, req *subRequest) error {
		if err := h.leave(b, gw, req); err != nil {
			return fmt.Errorf("%w: not all of them are sub-devices of %v", ErrInvalid, gateway)
		}
		return nil
	})
}

// The status words of thing.topo.change (wire facts section 12.5).
var topoStatus = map[string]int{"create": 0, "delete": 1, "enable": 2, "disable": 8}

func (h *Hub) changeTopology(ctx context.Context, gateway iot.DeviceID, ids []iot.DeviceID, action string, change func(*batch, *device, *subRequest) error) error {
	if len(ids) == 0 {
		return nil
	}
	if work(ctx) != nil { // bringing a device over would wait for this very worker
		return errInHandler
	}
	gw, err := h.acquire(ctx, gateway)
	if err != nil {
		return err
	}
	defer h.release(gw)
	if !gw.product.gateway {
		return fmt.Errorf("%w: %v is no gateway", ErrInvalid, gateway)
	}
	req, err := h.hold(ctx, gw, ids)
	if err != nil {
		return err
	}
	var begun atomic.Bool // by the worker, or given up here
	defer func() {
		if begun.CompareAndSwap(false, true) {
			req.drop(h)
		}
	}()
	return h.doUnlocked(ctx, gw, func(b *batch) error {
		if !begun.CompareAndSwap(false, true) {
			return context.Cause(ctx)
		}
		if err := change(b, gw, req); err != nil {
			req.drop(h)
			return err
		}
		b.then(func(error) { req.drop(h) })
		h.forwardTopology(b, gw, action, req.devices())
		if s := gw.sess; s != nil {
			s.topoChange(b, action, ids)
		}
		return nil
	})
}

// hold gathers devices on the shard of gw for an application's change.
func (h *Hub) hold(ctx context.Context, gw *device, ids []iot.DeviceID) (*subRequest, error) {
	req := &subRequest{}
	for _, id := range ids {
		d, err := h.acquire(ctx, id)
		if err == nil && (d.product.gateway || id == gw.id) {
			h.release(d)
			err = fmt.Errorf("%w: %v is a gateway itself", ErrInvalid, id)
		}
		if err != nil {
			for _, e := range req.subs {
				h.release(e.d)
			}
			return nil, err
		}
		req.subs = append(req.subs, &sub{id: id, d: d})
	}
	if twice(req.subs) {
		for _, e := range req.subs {
			h.release(e.d)
		}
		return nil, fmt.Errorf("%w: a device is named twice", ErrInvalid)
	}
	h.gather(ctx, gw, req)
	for _, e := range req.subs {
		if e.d == nil {
			req.drop(h)
			return nil, ctx.Err()
		}
	}
	return req, nil
}

// topoChange tells a gateway what the application did to its sub-devices.
func (s *session) topoChange(b *batch, action string, ids []iot.DeviceID) {
	params := struct {
		Status  int          `json:"status"`
		SubList []deviceName `json:"subList"`
	}{Status: topoStatus[action]}
	for _, id := range ids {
		params.SubList = append(params.SubList, nameOf(id))
	}
	s.tell(b, alink.TopoChange, jsonText(params))
}

// tell sends an Alink request nobody waits for the reply of, behind the commit.
func (s *session) tell(b *batch, method alink.Method, params []byte) {
	name := topic.Sys(s.d.id, method.Path())
	if _, ok := s.wants(name); !ok {
		return
	}
	payload := s.h.appendCall(nil, string(method), params)
	b.then(func(err error) {
		if err == nil {
			s.sendNow(s.h.ctx, iot.Message{Topic: name, Payload: payload}, nil)
		}
	})
}

// AskToAdd asks a connected gateway to bind sub-devices (thing.topo.add.notify):
// the application's answer to devices the gateway found. Errors are those of
// SetProperties.
func (h *Hub) AskToAdd(ctx context.Context, gateway iot.DeviceID, ids ...iot.DeviceID) error {
	list := make([]deviceName, 0, len(ids))
	for _, id := range ids {
		list = append(list, nameOf(id))
	}
	_, err := h.call(ctx, gateway, string(alink.TopoAddNotify), list, CallOptions{})
	return err
}

// Permit lets devices of a product join a gateway for a while
// (thing.gateway.permit); zero ends that. Errors are those of SetProperties.
func (h *Hub) Permit(ctx context.Context, gateway iot.DeviceID, productKey string, d time.Duration) error {
	_, err := h.call(ctx, gateway, string(alink.GatewayPermit), struct {
		ProductKey string `json:"productKey"`
		Time       int    `json:"time"`
	}{productKey, int(d / time.Second)}, CallOptions{})
	return err
}

// disband frees the sub-devices of a gateway that is to be deleted.
func (h *Hub) disband(ctx context.Context, gateway iot.DeviceID) error {
	for {
		var some []iot.DeviceID
		for id, err := range h.SubDevices(ctx, gateway) {
			if err != nil {
				return err
			}
			if some = append(some, id); len(some) == h.limits.SubRequests {
				break
			}
		}
		if len(some) == 0 {
			return nil
		}
		if err := h.RemoveSubDevices(ctx, gateway, some...); err != nil {
			return err
		}
	}
}

// announce tells the gateway of a sub-device that the application enabled or
// disabled it.
func (h *Hub) announce(ctx context.Context, id iot.DeviceID, action string) {
	gateway, _, err := h.GatewayOf(ctx, id)
	if err != nil || gateway.IsZero() {
		return
	}
	gw, err := h.acquire(ctx, gateway)
	if err != nil {
		return
	}
	d, err := h.acquire(ctx, id)
	if err != nil {
		h.release(gw)
		return
	}
	gw.post(func(b *batch) {
		h.forwardTopology(b, gw, action, []*device{d})
		if s := gw.sess; s != nil {
			s.topoChange(b, action, []iot.DeviceID{id})
		}
		b.then(func(error) { h.release(gw); h.release(d) })
	})
}
