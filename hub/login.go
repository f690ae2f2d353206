// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// loginKind is how a device proves who it is at CONNECT.
type loginKind string

// The kinds of logins. Those with a word are told by authType in the client id.
const (
	loginSign     loginKind = ""                // the device's signature
	loginToken    loginKind = "token"           // iotId and iotToken of the pre-authentication
	loginCert     loginKind = "x509"            // a verified client certificate
	loginRegister loginKind = auth.AuthRegister // asks for the DeviceSecret
	loginRegNWL   loginKind = auth.AuthRegNWL   // asks for a token
	loginConnNWL  loginKind = auth.AuthConnNWL  // shows that token
	loginID2      loginKind = "id2"             // for the embedder's verifier
)

// login is a CONNECT taken apart.
type login struct {
	device   iot.DeviceID
	client   auth.ClientID
	kind     loginKind
	password []byte
	cert     auth.Certificate
}

// parseLogin reads user name, client id and credential. What cannot be read of
// the device's name stays empty; the error says what is wrong.
func (h *Hub) parseLogin(ctx context.Context, r *hal.ConnectRequest) (login, hal.Reason, error) {
	var l login
	if cert, ok := r.Credential.(auth.Certificate); ok {
		return h.certLogin(ctx, cert, r.ClientID)
	}
	password, ok := r.Credential.(auth.Password)
	l.password = password.Bytes()
	id, err := auth.ParseUserName(r.UserName)
	if err != nil && isIotID(r.UserName) {
		l.kind = loginToken
		if id, err = h.Lookup(ctx, r.UserName); err != nil {
			// What a token that is no good gets (wire facts section 3.3).
			return l, hal.Unavailable, fmt.Errorf("%w: %w", auth.ErrBadSign, err)
		}
	}
	if err != nil {
		return l, hal.BadCredentials, err
	}
	l.device = id
	if l.client, err = auth.ParseClientID(r.ClientID); err != nil {
		return l, hal.BadClientID, err
	}
	if !ok {
		return l, hal.BadCredentials, fmt.Errorf("%w: no password", ErrInvalid)
	}
	if kind, found := l.client.Get("authtype"); found && kind != "" && l.kind != loginToken {
		l.kind = loginKind(strings.ToLower(kind))
	}
	return l, 0, nil
}

// isIotID reports whether a user name has the form of an IotID.
func isIotID(name string) bool {
	return len(name) == iotIDLength && !strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(letters, r) })
}

// implicit tells that the client subscribes to nothing and expects every system
// downlink (wire facts section 1 row 3).
func (l login) implicit() bool {
	v, _ := l.client.Get("_ss")
	return v == "1"
}

// extRRPC tells that the device takes synchronous calls under /ext/rrpc: bit 0
// of ext (wire facts section 3.2).
func (l login) extRRPC() bool {
	v, _ := l.client.Get("ext")
	return v != "" && (v[len(v)-1]-'0')&1 == 1
}

// verify checks the proof of a login of a device that exists. The error is
// auth.ErrBadSign, auth.ErrBadMethod, auth.ErrTokenExpired, errLoginKind, or what
// kept the hub from telling.
func (h *Hub) verify(ctx context.Context, l login, d *device) error {
	if (l.kind == loginCert) != d.product.usesCertificates() {
		return fmt.Errorf("%w: %w", errLoginKind, hal.ErrOtherAuth)
	}
	switch l.kind {
	case loginSign:
		secret, err := h.secretOf(ctx, d)
		if err != nil {
			return err
		}
		return l.client.Verify(l.password, l.device, secret)
	case loginToken:
		return h.checkToken(d, l.password, auth.UseConnect)
	case loginConnNWL:
		return h.checkDeviceToken(d, l.client.ID, l.password)
	case loginCert:
		return nil // the handshake proved it, and who it is for was looked up
	case loginID2:
		if h.id2 != nil {
			return h.id2.VerifyID2(ctx, l.device, l.client, auth.NewPassword(l.password))
		}
	case loginRegister, loginRegNWL: // not logins of a device: see enrolOver
	}
	return fmt.Errorf("%w %.32q", errLoginKind, string(l.kind))
}

var errLoginKind = errors.New("hub: kind of login not served")

// ID2Verifier checks logins of devices with an ID2 chip (authtype id2), which
// need the chip maker's key service.
type ID2Verifier interface {
	// VerifyID2 returns nil, or an error that wraps auth.ErrBadSign when the proof is
	// wrong; any other error means that it cannot tell.
	VerifyID2(ctx context.Context, id iot.DeviceID, client auth.ClientID, password auth.Password) error
}
