// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/store"
)

// certRecord is what is known about a certificate.
type certRecord struct {
	Device  iot.DeviceID `json:"device,omitzero"`
	Revoked bool         `json:"revoked,omitempty"`
}

func (p *product) usesCertificates() bool { return p.x509.Load() }

// certLogin finds the device a client certificate stands for: the one it is bound
// to, else the one its common name tells. User name and password do not matter
// (wire facts section 5.1).
func (h *Hub) certLogin(ctx context.Context, cert auth.Certificate, clientID string) (login, hal.Reason, error) {
	l := login{kind: loginCert, cert: cert}
	l.client, _ = auth.ParseClientID(clientID) // what it says beside is optional
	rec, err := h.certificate(ctx, cert.Fingerprint())
	switch {
	case err != nil:
		return l, hal.Unavailable, err
	case rec.Revoked:
		l.device = rec.Device
		return l, hal.NotAuthorized, fmt.Errorf("%w: certificate is revoked", ErrDisabled)
	case !rec.Device.IsZero():
		l.device = rec.Device
		return l, 0, nil
	}
	if l.device, err = cert.Device(); err != nil {
		return l, hal.BadCredentials, err
	}
	return l, 0, nil
}

// certificate returns what is known about a fingerprint, zero for nothing.
func (h *Hub) certificate(ctx context.Context, fingerprint string) (rec certRecord, err error) {
	e, err := h.store.Get(ctx, []byte(prefixCert+fingerprint))
	if errors.Is(err, store.ErrNotFound) {
		return rec, nil
	}
	if err == nil {
		err = decodeJSON(e.Value, &rec)
	}
	return rec, err
}

// BindCertificate lets a device of an X509 product log in with the certificate of
// the SHA-256 fingerprint, whatever name that carries. Certificates whose common
// name is the device's text form need no binding. Errors wrap ErrUnknownDevice,
// ErrInvalid, or ErrExists for one that is another device's.
func (h *Hub) BindCertificate(ctx context.Context, id iot.DeviceID, fingerprint string) error {
	fp, err := auth.ParseFingerprint(fingerprint)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	rec, err := h.certificate(ctx, fp)
	if err != nil {
		return err
	}
	if rec.Revoked || !rec.Device.IsZero() && rec.Device != id {
		return fmt.Errorf("%w: certificate %.16s", ErrExists, fp)
	}
	return h.putCertificate(ctx, id, fp, certRecord{Device: id})
}

// RevokeCertificate has a certificate of a device refused for ever, and closes a
// connection the device opened with it. Errors wrap ErrUnknownDevice or
// ErrInvalid.
func (h *Hub) RevokeCertificate(ctx context.Context, id iot.DeviceID, fingerprint string) error {
	fp, err := auth.ParseFingerprint(fingerprint)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := h.putCertificate(ctx, id, fp, certRecord{Device: id, Revoked: true}); err != nil {
		return err
	}
	d, err := h.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.release(d)
	d.mu.Lock()
	s := d.sess
	d.mu.Unlock()
	if s != nil && s.proof != nil && s.proof.cert == fp {
		s.link.Close(hal.CauseDisabled)
	}
	return nil
}

func (h *Hub) putCertificate(ctx context.Context, id iot.DeviceID, fp string, rec certRecord) error {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer h.release(d)
	return h.do(ctx, d, func(b *batch) error {
		b.st.Put([]byte(prefixCert+fp), encodeJSON(rec))
		a := d.rec.access()
		a.Certs = slices.DeleteFunc(slices.Clone(a.Certs), func(old string) bool { return old == fp })
		if !rec.Revoked { // what is revoked outlives the device
			a.Certs = append(a.Certs, fp)
		}
		d.rec.Access = &a
		b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
		return nil
	})
}
