// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// Enroll implements hal.Registrar (wire facts section 4.3).
func (h *Hub) Enroll(ctx context.Context, p *hal.Proof) (auth.Secret, error) {
	secret, err := h.enrol(ctx, p)
	if err != nil {
		code := alink.ErrorReply(err).Code
		h.log(LogEntry{
			Device: p.Device, Kind: Behaviour, Operation: OpRegister, Status: Failure,
			Code: code, Cause: loginCause(code), Detail: code.String(),
		})
		return auth.Secret{}, err
	}
	h.log(LogEntry{Device: p.Device, Kind: Behaviour, Operation: OpRegister, Status: Success})
	return secret, nil
}

func (h *Hub) enrol(ctx context.Context, p *hal.Proof) (auth.Secret, error) {
	if h.tooMany(ctx, p.RemoteAddr, p.Device) {
		return auth.Secret{}, codeError(alink.CodeRateLimited, "")
	}
	if err := h.checkEnrolment(p); err != nil {
		return auth.Secret{}, err
	}
	d, err := h.acquire(ctx, p.Device)
	switch {
	case errors.Is(err, ErrUnknownDevice):
		return auth.Secret{}, codeError(h.unknownCode(alink.CodeDeviceNotFound), "")
	case err != nil:
		return auth.Secret{}, codeError(alink.CodeInternal, "")
	}
	defer h.release(d)
	return h.handOut(ctx, d)
}

// checkEnrolment checks the signature with the product's secret, and the
// product's switch.
func (h *Hub) checkEnrolment(p *hal.Proof) error {
	product, err := h.product(p.Device.Product)
	secret := h.decoy
	if err == nil {
		secret = product.productSecret()
	}
	bad := auth.VerifySign(p.Method, secret, p.Sign, p.Params...)
	switch {
	case err != nil:
		h.guard.failed(p.RemoteAddr, p.Device)
		return codeError(h.unknownCode(alink.CodeProductNotFound), "")
	case bad != nil:
		h.guard.failed(p.RemoteAddr, p.Device)
		return codeError(h.unknownCode(alink.CodeSignFailed), "")
	case product.usesCertificates():
		return codeError(alink.CodeAuthTypeMismatch, "")
	case !product.registers():
		return codeError(alink.CodeNoDynamicRegister, "")
	}
	return nil
}

// unknownCode is the answer about somebody who is not known, or did not prove it.
func (h *Hub) unknownCode(code alink.Code) alink.Code {
	if h.hideUnknown {
		return alink.CodeUnauthorized
	}
	return code
}

// handOut gives a device its secret, once.
func (h *Hub) handOut(ctx context.Context, d *device) (secret auth.Secret, err error) {
	err = h.doUnlocked(ctx, d, func(b *batch) error {
		if err := d.registrable(); err != nil {
			return err
		}
		secret = d.handOut(b)
		return nil
	})
	if _, coded := errors.AsType[*alink.CodeError](err); err != nil && !coded {
		err = codeError(alink.CodeInternal, "")
	}
	return secret, err
}

// enrolOver serves a CONNECT with authType register or regnwl (wire facts
// sections 4.4 and 4.5): the answer is pushed right behind the CONNACK, and the
// connection is good for nothing else.
func (h *Hub) enrolOver(ctx context.Context, r *hal.ConnectRequest, l login) (hal.Session, error) {
	if r.TLS == nil && r.Protocol != "mem" && !h.plainRegistration {
		return nil, h.refuse(l, hal.NotAuthorized, CauseLoginKind, errors.New("hub: registration needs TLS"))
	}
	if err := h.verifyEnrolment(r, l); err != nil {
		return nil, err
	}
	if h.connects.take(time.Now().UnixNano(), 1) > 0 {
		return nil, h.refuse(l, hal.Unavailable, CauseRateLimit, fmt.Errorf("%w: logins a second of the hub", ErrThrottled))
	}
	path, answer, err := "register", any(nil), error(nil)
	if l.kind == loginRegNWL {
		path = "regnwl"
		answer, err = h.giveToken(ctx, l)
	} else {
		answer, err = h.giveSecret(ctx, l)
	}
	if err != nil {
		return nil, h.refuse(l, enrolReason(err), loginCause(alink.ErrorReply(err).Code), err)
	}
	h.log(LogEntry{Device: l.device, Kind: Behaviour, Operation: OpRegister, Status: Success})
	m := iot.Message{Topic: topic.Ext(path, iot.DeviceID{}), Payload: jsonText(answer)}
	link := r.Link
	link.Send(h.ctx, hal.Delivery{Message: m}, nil)
	h.after(enrolTime, func() { link.Close(hal.CauseProtocol) })
	return enrolment{}, nil
}

// enrolTime is how long a connection that registers may stay: devices leave
// within seconds (wire facts section 4.4).
const enrolTime = 30 * time.Second

func enrolReason(err error) hal.Reason {
	code := alink.ErrorReply(err).Code
	if code == alink.CodeInternal {
		return hal.Unavailable
	}
	if code == alink.CodeDeviceNotFound {
		return hal.BadCredentials
	}
	return hal.NotAuthorized
}

// verifyEnrolment checks the proof of a registration at CONNECT.
func (h *Hub) verifyEnrolment(r *hal.ConnectRequest, l login) error {
	product, err := h.product(l.device.Product)
	secret := h.decoy
	if err == nil {
		secret = product.productSecret()
	}
	random, _ := l.client.Get("random")
	if bad := l.client.VerifyRegister(l.password, l.device, secret); err == nil {
		err = bad
	}
	if err == nil && random == "" {
		err = fmt.Errorf("%w: registration without random", ErrInvalid)
	}
	if err != nil {
		h.guard.failed(r.RemoteAddr, l.device)
		return h.refuse(l, hal.BadCredentials, CauseBadCredentials, err)
	}
	if !product.registers() || product.usesCertificates() {
		return h.refuse(l, hal.NotAuthorized, CauseLoginKind, codeError(alink.CodeNoDynamicRegister, ""))
	}
	return nil
}

// enrolled is the payload of /ext/register and /ext/regnwl.
type enrolled struct {
	ClientID     string `json:"clientId,omitempty"`
	ProductKey   string `json:"productKey"`
	DeviceName   string `json:"deviceName"`
	DeviceSecret string `json:"deviceSecret,omitempty"`
	DeviceToken  string `json:"deviceToken,omitempty"`
}

func (h *Hub) giveSecret(ctx context.Context, l login) (any, error) {
	d, err := h.acquire(ctx, l.device)
	if err != nil {
		if errors.Is(err, ErrUnknownDevice) {
			return nil, codeError(alink.CodeDeviceNotFound, "")
		}
		return nil, codeError(alink.CodeInternal, "")
	}
	defer h.release(d)
	secret, err := h.handOut(ctx, d)
	return enrolled{ProductKey: d.id.Product, DeviceName: d.id.Name, DeviceSecret: secret.Reveal()}, err
}

// giveToken makes the device if nobody did, and gives it a token. Earlier ones
// are void.
func (h *Hub) giveToken(ctx context.Context, l login) (any, error) {
	id := iot.DeviceID{Product: cloneTopic(l.device.Product), Name: cloneTopic(l.device.Name)}
	if _, err := h.RegisterDevice(ctx, Device{ID: id}); err != nil {
		if errors.Is(err, ErrInvalid) {
			return nil, codeError(alink.CodeBadDeviceName, "")
		}
		return nil, codeError(alink.CodeInternal, "")
	}
	out := enrolled{ClientID: h.randomText(20), ProductKey: id.Product, DeviceName: id.Name, DeviceToken: h.randomHex(20)}
	_, err := h.updateDevice(ctx, id, func(_ *batch, d *device) error {
		if d.rec.Registered || !d.rec.Activated.IsZero() && d.rec.access().Token == "" {
			return codeError(alink.CodeAlreadyActive, "") // it has a DeviceSecret of its own
		}
		a := d.rec.access()
		a.ClientID, a.Token = out.ClientID, h.seal(auth.NewSecret(out.DeviceToken), d.key)
		d.rec.Access = &a
		return nil
	})
	return out, err
}

// checkDeviceToken checks what a device nobody made beforehand logs in with.
func (h *Hub) checkDeviceToken(d *device, clientID string, token []byte) error {
	d.mu.Lock()
	a := d.rec.access()
	d.mu.Unlock()
	want, err := h.unsealText(a.Token, d.key)
	if err == nil && (!want.EqualBytes(token) || clientID != a.ClientID) {
		err = auth.ErrBadSign
	}
	return err
}

// enrolment is the session of a connection that registers: it has no presence,
// says nothing and hears nothing but its answer.
type enrolment struct{}

var errEnrolment = &hal.RejectedError{Err: errors.New("hub: a connection that registers is good for nothing else")}

// Receive implements hal.Session.
func (enrolment) Receive(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
	done(nil, errEnrolment)
}

// Authorize implements hal.Session.
func (enrolment) Authorize(op topic.Operation, name string) error {
	if op == topic.Sub && (name == "/ext/register" || name == "/ext/regnwl") {
		return nil
	}
	return errEnrolment
}

// Subscribe implements hal.Subscriber: some clients ask for their answer.
func (e enrolment) Subscribe(_ context.Context, filters []hal.Filter) []hal.Grant {
	grants := make([]hal.Grant, len(filters))
	for i, f := range filters {
		if e.Authorize(topic.Sub, f.Topic) != nil {
			grants[i] = hal.Refused
		}
	}
	return grants
}

// Unsubscribe implements hal.Subscriber.
func (enrolment) Unsubscribe(context.Context, []string) {}

// Close implements hal.Session.
func (enrolment) Close(hal.Cause) {}
