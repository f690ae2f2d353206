// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

func (h *Hub) checkLogin(ctx context.Context, gw *device, e *sub) error {
	if err := h.checkMember(ctx, gw, e); err != nil {
		return err
	}
	e.d.mu.Lock()
	disabled := e.d.rec.Disabled
	e.d.mu.Unlock()
	if disabled {
		return codeError(alink.CodeDisabled, "")
	}
	if e.signed.Sign == "" || e.signed.Get("clientId") == "" {
		return codeError(alink.CodeBadParams, "sign and clientId are required")
	}
	return h.verifySub(ctx, e, alink.CodeBadSign)
}

// combineLogin serves combine/login and combine/batch_login: the sub-devices of
// the request are online behind it, or none is (wire facts section 12.6).
func (h *Hub) combineLogin(ctx context.Context, r *alink.Request) alink.Reply {
	w, req, err := subRequestOf(ctx)
	if err == nil {
		err = h.admitSubs(w.s, req, r.Time)
	}
	if err != nil {
		if w.subs != nil {
			h.logSubLogin(w.s, req, err)
		}
		return alink.ErrorReply(err)
	}
	for _, e := range req.subs {
		h.loginSub(w, e)
	}
	if r.Topic.Path == "session/combine/login" { // devices want an object (wire facts section 1 row 41)
		return alink.OK(jsonText(nameOf(req.subs[0].id)))
	}
	return alink.OK(jsonText(req.names()))
}

// admitSubs checks what may have changed since the request was made ready, and
// the limits.
func (h *Hub) admitSubs(gw *session, req *subRequest, now time.Time) error {
	fresh := 0
	for _, e := range req.subs {
		d := e.d
		d.mu.Lock()
		gone, disabled, bound := d.gone, d.rec.Disabled, d.rec.Gateway
		d.mu.Unlock()
		switch {
		case gone:
			return codeError(alink.CodeDeleted, "")
		case disabled:
			return codeError(alink.CodeDisabled, "")
		case bound != gw.d.key:
			return codeError(alink.CodeTopoMissing, "")
		}
		if gw.kid(e.id) == nil {
			fresh++
		}
	}
	if most := h.limits.SubDevicesOnline; most > 0 && gw.gw.online()+fresh > most {
		return codeError(alink.CodeTooManyOnline, "")
	}
	for _, e := range req.subs {
		if h.rates.logins.takeShared(&e.d.connects, now.UnixNano(), 1) > 0 {
			return codeError(alink.CodeRateLimited, "")
		}
	}
	return nil
}

// loginSub opens the session of one sub-device.
func (h *Hub) loginSub(w *workContext, e *sub) {
	d := e.d
	kid := w.s.newKid(d, strings.EqualFold(e.signed.Get("cleanSession"), "true"))
	implicit := w.s.subs.Load().Implicit
	if id, err := auth.ParseClientID(e.signed.Get("clientId")); err == nil {
		v, _ := id.Get("_ss")
		implicit = implicit || v == "1"
	}
	e.taken = true
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.sess; old != nil && old.via == w.s {
		old.endNow(w.b, hal.CauseClient) // again through the same gateway: nobody is to be told
	}
	kid.start(w.b, implicit)
	w.s.gw.add(kid)
}

// logSubLogin makes the entries of a login that was refused.
func (h *Hub) logSubLogin(gw *session, req *subRequest, why error) {
	code := alink.ErrorReply(why).Code
	for _, e := range req.subs {
		h.log(LogEntry{
			Device: e.id, Via: gw.d.id, Kind: Behaviour, Operation: OpConnect, Status: Failure,
			Code: code, Cause: loginCause(code), Detail: fmt.Sprintf("sub-device login refused: %v", code),
		})
	}
}

func loginCause(code alink.Code) LogCause {
	switch code {
	case alink.CodeRateLimited, alink.CodeTooManyOnline:
		return CauseRateLimit
	case alink.CodeDisabled:
		return CauseDisabledDevice
	case alink.CodeInternal:
		return CauseSystemError
	}
	return CauseBadCredentials
}

func (h *Hub) checkLogout(ctx context.Context, gw *device, e *sub) error {
	if e.d == nil {
		return codeError(alink.CodeNoSession, "")
	}
	return nil
}

// combineLogout serves combine/logout and combine/batch_logout.
func (h *Hub) combineLogout(ctx context.Context, r *alink.Request) alink.Reply {
	w, req, err := subRequestOf(ctx)
	if err == nil {
		for _, e := range req.subs {
			if w.s.subDevice(w.sh, e.id) == nil {
				err = codeError(alink.CodeNoSession, "")
			}
		}
	}
	if err != nil {
		return alink.ErrorReply(err)
	}
	for _, e := range req.subs {
		e.d.mu.Lock()
		e.d.sess.endNow(w.b, hal.CauseClient)
		e.d.mu.Unlock()
	}
	if r.Topic.Path == "session/combine/logout" {
		return alink.OK(jsonText(nameOf(req.subs[0].id)))
	}
	return alink.OK(jsonText(req.names()))
}
