// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// registrable tells why a device may not fetch its secret: the product's switch
// is off, or it has it already (wire facts sections 4.3 and 12.2).
func (d *device) registrable() error {
	if !d.product.registers() {
		return codeError(alink.CodeNoDynamicRegister, "")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rec.Registered || !d.rec.Activated.IsZero() {
		return codeError(alink.CodeAlreadyActive, "")
	}
	return nil
}

// registers reports whether the product's switch for dynamic registration is on.
func (p *product) registers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rec.DynamicRegister
}

// handOut notes that a device got its secret; the worker calls it.
func (d *device) handOut(b *batch) auth.Secret {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rec.Registered = true
	b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
	b.touch(d)
	return d.secret
}

func (h *Hub) checkRegister(_ context.Context, gw *device, e *sub) error {
	p, err := h.product(e.id.Product)
	switch {
	case err != nil:
		return codeError(alink.CodeProductNotFound, "")
	case !p.registers():
		return codeError(alink.CodeNoDynamicRegister, "")
	case e.d == nil:
		return codeError(alink.CodeDeviceNotFound, "")
	}
	if bound := e.d.gateway(); bound != "" && bound != gw.key {
		return codeError(alink.CodeAlreadyBound, "")
	}
	return e.d.registrable()
}

// registered is an entry of the answer of thing.sub.register.
type registered struct {
	IotID        string `json:"iotId"`
	ProductKey   string `json:"productKey"`
	DeviceName   string `json:"deviceName"`
	DeviceSecret string `json:"deviceSecret"`
}

func (e *sub) handOut(b *batch) registered {
	secret := e.d.handOut(b)
	return registered{e.d.rec.IotID, e.id.Product, e.id.Name, secret.Reveal()}
}

// subRegister serves thing.sub.register: all entries or none.
func (h *Hub) subRegister(ctx context.Context, _ *alink.Request) alink.Reply {
	w, req, err := subRequestOf(ctx)
	for i := 0; err == nil && i < len(req.subs); i++ {
		err = h.checkRegister(ctx, w.s.d, req.subs[i]) // it may have changed meanwhile
	}
	if err != nil {
		return alink.ErrorReply(err)
	}
	list := make([]registered, 0, len(req.subs))
	for _, e := range req.subs {
		list = append(list, e.handOut(w.b))
	}
	return alink.OK(jsonText(list))
}

// subUnregister serves thing.sub.unregister: the sub-devices leave the gateway
// and what they signed with is void; they may register again.
func (h *Hub) subUnregister(ctx context.Context, _ *alink.Request) alink.Reply {
	w, req, err := subRequestOf(ctx)
	if err == nil {
		err = h.leave(w.b, w.s.d, req)
	}
	if err != nil {
		return alink.ErrorReply(err)
	}
	for _, e := range req.subs {
		e.d.mu.Lock()
		if s := e.d.sess; s != nil {
			s.endNow(w.b, hal.CauseDeleted)
		}
		h.renew(e.d, auth.NewSecret(h.randomHex(16)))
		e.d.rec.Registered = false
		w.b.st.Put(deviceKey(prefixDevice, e.d.id), encodeJSON(e.d.rec))
		e.d.mu.Unlock()
	}
	h.forwardTopology(w.b, w.s.d, "delete", req.devices())
	return alink.OK(nil)
}

// renew gives a device another secret; its lock is held.
func (h *Hub) renew(d *device, secret auth.Secret) {
	d.rec.Secret = h.seal(secret, d.key)
	d.rec.SecretVersion++
	d.secret = secret
}

func (h *Hub) checkProductRegister(ctx context.Context, gw *device, e *sub) error {
	if p, err := h.product(e.id.Product); err == nil && e.signed.Verify(p.productSecret()) != nil {
		return codeError(alink.CodeSignFailed, "")
	}
	return h.checkRegister(ctx, gw, e)
}

func (p *product) productSecret() auth.Secret {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.secret
}

// refusedSub is an entry of the failures of a product registration.
type refusedSub struct {
	deviceName
	ErrorDetail struct {
		Code    alink.Code `json:"code"`
		Message string     `json:"message"`
	} `json:"errorDetail"`
}

// productRegister serves thing.proxy.provisioning.product_register: each entry is
// signed with its product's secret and judged by itself (wire facts section 12.3).
func (h *Hub) productRegister(ctx context.Context, _ *alink.Request) alink.Reply {
	w := work(ctx)
	switch {
	case w.subs == nil:
		return alink.Reply{Code: alink.CodeUnauthorized, Message: "not a gateway"}
	case w.subs.refusal != nil:
		return alink.ErrorReply(w.subs.refusal)
	}
	var out struct {
		Successes []registered `json:"successes"`
		Failures  []refusedSub `json:"failures"`
	}
	out.Successes, out.Failures = []registered{}, []refusedSub{}
	for _, e := range w.subs.subs {
		err := e.err
		if err == nil {
			err = h.checkRegister(ctx, w.s.d, e)
		}
		if err != nil {
			bad := refusedSub{deviceName: nameOf(e.id)}
			bad.ErrorDetail.Code = alink.ErrorReply(err).Code
			bad.ErrorDetail.Message = bad.ErrorDetail.Code.String()
			out.Failures = append(out.Failures, bad)
			continue
		}
		out.Successes = append(out.Successes, e.handOut(w.b))
	}
	return alink.OK(jsonText(out))
}
