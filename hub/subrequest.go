// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/topic"
)

// subRequest is a request of a gateway about sub-devices. What may take time is
// done before it is queued, on the goroutine that reads the connection: the
// devices are in memory, secrets were fetched and signatures checked, and the
// devices were brought to the gateway's shard, where they stay until drop. The
// worker then carries it out in line with everything else, in one commit.
type subRequest struct {
	refusal *alink.CodeError // what the request is answered with, if that is clear
	subs    []*sub
}

// sub is one entry of a request.
type sub struct {
	signed alink.Signed
	id     iot.DeviceID
	d      *device // with a reference, and pinned; nil when there is no such device
	taken  bool    // the reference went to a session
	err    error   // what is wrong with the entry alone
}

// drop gives references and pins back. It may be called on nil.
func (r *subRequest) drop(h *Hub) {
	if r == nil {
		return
	}
	for _, e := range r.subs {
		if e.d == nil {
			continue
		}
		h.unpin(e.d)
		if !e.taken {
			h.release(e.d)
		}
	}
}

// refuse settles a request.
func (r *subRequest) refuse(code alink.Code, what string) *subRequest {
	r.refusal = &alink.CodeError{Code: code, Message: what}
	return r
}

// subMethod is how a method's request is read and checked.
type subMethod struct {
	list  func(params []byte) ([][]byte, auth.Method) // nil: the params are the list
	check func(h *Hub, ctx context.Context, gw *device, e *sub) error
	batch bool // counted against Limits.BatchLogins
}

// subMethods are the requests about sub-devices, by path.
var subMethods = map[string]subMethod{
	"thing/sub/register":                        {check: (*Hub).checkRegister},
	"thing/sub/unregister":                      {check: (*Hub).checkMember},
	"thing/proxy/provisioning/product_register": {list: memberList("proxieds"), check: (*Hub).checkProductRegister},
	"thing/topo/add":                            {check: (*Hub).checkTopoAdd},
	"thing/topo/delete":                         {check: (*Hub).checkMember},
	"session/combine/login":                     {check: (*Hub).checkLogin},
	"session/combine/logout":                    {check: (*Hub).checkLogout},
	"session/combine/batch_login":               {list: memberList("deviceList"), check: (*Hub).checkLogin, batch: true},
	"session/combine/batch_logout":              {check: (*Hub).checkLogout, batch: true},
}

// speakerOf returns the session whose rates a message counts against: that of
// the sub-device its topic names, else s.
func (s *session) speakerOf(name string) *session {
	if s.gw == nil {
		return s
	}
	if t, err := topic.Parse(name); err == nil && t.Device != s.d.id {
		if kid := s.gw.kid(t.Device); kid != nil {
			return kid
		}
	}
	return s
}

// prepare makes a gateway's message ready if it is a request about sub-devices;
// it returns nil for any other.
func (s *session) prepare(ctx context.Context, m *iot.Message) *subRequest {
	t, err := topic.Parse(m.Topic)
	if err != nil || t.Device != s.d.id || t.Family != topic.FamilySys && t.Family != topic.FamilyExt {
		return nil
	}
	how, ok := subMethods[t.Path]
	if !ok {
		return nil
	}
	return s.h.prepare(ctx, s.d, how, m.Payload)
}

// prepare reads and checks a request of gw about sub-devices. The payload is
// copied where it is kept.
func (h *Hub) prepare(ctx context.Context, gw *device, how subMethod, payload []byte) *subRequest {
	r := &subRequest{}
	var m alink.Message
	if alink.Parse(payload, &m) != nil {
		return r.refuse(alink.CodeBadParams, "not a request")
	}
	params := alink.LenientParams(m.Params)
	var list [][]byte
	var method auth.Method
	if how.list != nil {
		list, method = how.list(params)
	} else {
		list = elements(params)
	}
	if len(list) == 0 || len(list) > h.limits.SubRequests || how.batch && h.limits.BatchLogins > 0 && len(list) > h.limits.BatchLogins {
		return r.refuse(alink.CodeBadParams, "no sub-devices, or too many of them")
	}
	for _, raw := range list {
		e := &sub{}
		r.subs = append(r.subs, e)
		e.signed, e.err = alink.ParseSigned(raw)
		if e.signed.Method == 0 {
			e.signed.Method = method
		}
		e.id = e.signed.Device()
	}
	if twice(r.subs) {
		return (&subRequest{}).refuse(alink.CodeBadParams, "a sub-device is named twice")
	}
	for _, e := range r.subs {
		e.err = h.checkSub(ctx, gw, how, e)
	}
	h.gather(ctx, gw, r)
	return r
}

// elements returns the elements of an array, or an object as the only one.
func elements(params []byte) (list [][]byte) {
	if len(params) > 0 && params[0] == '{' {
		if len(strings.TrimSpace(string(params[1:len(params)-1]))) == 0 {
			return nil
		}
		return [][]byte{params}
	}
	if alink.EachElement(params, func(value []byte) bool {
		list = append(list, value)
		return true
	}) != nil {
		return nil
	}
	return list
}

func twice(subs []*sub) bool {
	seen := make(map[iot.DeviceID]bool, len(subs))
	for _, e := range subs {
		if seen[e.id] {
			return true
		}
		seen[e.id] = true
	}
	return false
}

func codeError(code alink.Code, what string) error {
	return &alink.CodeError{Code: code, Message: what}
}

// checkSub loads the device of an entry and has the method check it.
func (h *Hub) checkSub(ctx context.Context, gw *device, how subMethod, e *sub) error {
	switch {
	case e.err != nil, e.id.Product == "", e.id.Name == "":
		return codeError(alink.CodeBadParams, "an entry cannot be read")
	case e.id == gw.id:
		return codeError(alink.CodeTopoSelf, "")
	}
	p, err := h.product(e.id.Product)
	if err == nil {
		switch {
		case iot.CheckDeviceName(e.id.Name) != nil:
			return codeError(alink.CodeBadDeviceName, "")
		case p.gateway:
			return codeError(alink.CodeBadParams, "a gateway is no sub-device")
		}
		e.d, err = h.acquire(ctx, e.id)
	}
	if err != nil && !errors.Is(err, ErrUnknownDevice) && !errors.Is(err, ErrUnknownProduct) {
		return codeError(alink.CodeInternal, "")
	}
	return how.check(h, ctx, gw, e)
}

// gather brings the devices of a request to the shard of gw.
func (h *Hub) gather(ctx context.Context, gw *device, r *subRequest) {
	ordered := slices.Clone(r.subs)
	slices.SortFunc(ordered, func(a, b *sub) int { return cmp.Compare(a.id.String(), b.id.String()) })
	for _, e := range ordered {
		if e.d == nil {
			continue
		}
		if err := h.pin(ctx, e.d, gw.shard.Load()); err != nil {
			h.release(e.d)
			e.d, e.err = nil, codeError(alink.CodeInternal, "")
		}
	}
}

// verifySub checks the signature of an entry with the sub-device's secret.
func (h *Hub) verifySub(ctx context.Context, e *sub, bad alink.Code) error {
	secret, err := h.secretOf(ctx, e.d)
	if err != nil && !errors.Is(err, auth.ErrUnknownDevice) {
		return codeError(alink.CodeInternal, "")
	}
	if err != nil || e.signed.Verify(secret) != nil {
		return codeError(bad, "")
	}
	return nil
}

// wrong returns the first refusal of a request: that of the whole, or of an entry.
func (r *subRequest) wrong() error {
	if r.refusal != nil {
		return r.refusal
	}
	for _, e := range r.subs {
		if e.err != nil {
			return e.err
		}
	}
	return nil
}

// subRequestOf returns the request a handler of a gateway method carries out. The
// error is the answer.
func subRequestOf(ctx context.Context) (*workContext, *subRequest, error) {
	w := work(ctx)
	if w.subs == nil {
		return w, nil, codeError(alink.CodeUnauthorized, "not a gateway")
	}
	return w, w.subs, w.subs.wrong()
}

// names returns the entries' names, as answers show them.
func (r *subRequest) names() []deviceName {
	list := make([]deviceName, 0, len(r.subs))
	for _, e := range r.subs {
		list = append(list, nameOf(e.id))
	}
	return list
}

// memberList reads a list that is a member of the params, and the sign method
// beside it.
func memberList(name string) func(params []byte) ([][]byte, auth.Method) {
	return func(params []byte) ([][]byte, auth.Method) {
		var list [][]byte
		s, err := alink.ParseSigned(params)
		if err != nil {
			return nil, 0
		}
		if value, ok := alink.Member(params, name); ok {
			list = elements(value)
		}
		return list, s.Method
	}
}

// often reports whether rate requests about d came in too fast.
func (h *Hub) often(d *device) bool {
	return h.rates.logins.takeShared(&d.binds, time.Now().UnixNano(), 1) > 0
}
