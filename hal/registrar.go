// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"context"
	"net"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// Proof is what a device shows outside of a connection: parameters, and the
// signature over them with its own secret, or for registration its product's.
type Proof struct {
	Device     iot.DeviceID
	Method     auth.Method
	Sign       string
	Params     []auth.Param // all that were signed, in any order
	RemoteAddr net.Addr
}

// TokenGrant is a token on its way to a device.
type TokenGrant struct {
	Token   auth.Secret
	IotID   string // user name that goes with a token for connections
	Expires time.Time
}

// Tokens is a further ability of an Access: tokens for devices that do not sign
// each request. It is safe for concurrent use.
type Tokens interface {
	// IssueToken gives a device that proved who it is a token. Errors wrap
	// auth.ErrUnknownDevice, auth.ErrBadSign, auth.ErrBadMethod or ErrOtherAuth, or
	// are a *RefusedError: disabled, throttled, not able to tell.
	IssueToken(ctx context.Context, p *Proof, use auth.Use) (TokenGrant, error)
	// VerifyToken returns whose token it is. A token is good until it expires, the
	// device is disabled or deleted, its secret changes, or its tokens are revoked.
	// Errors wrap auth.ErrBadSign or auth.ErrTokenExpired, or are a *RefusedError.
	VerifyToken(ctx context.Context, token auth.Token, use auth.Use) (iot.DeviceID, error)
	// RevokeTokens ends all tokens of a device, at once, and connections opened with
	// them.
	RevokeTokens(ctx context.Context, id iot.DeviceID) error
}

// Registrar is a further ability of an Access: dynamic registration.
type Registrar interface {
	// Enroll hands a device that was made beforehand its DeviceSecret, once, against
	// a proof with its product's secret. A refusal is an *alink.CodeError with a code
	// of the documents (wire facts section 4.3).
	Enroll(ctx context.Context, p *Proof) (auth.Secret, error)
}

// Keys is a further ability of an Access: keys made of a DeviceSecret, which
// itself stays where it is. It is safe for concurrent use. Errors wrap
// auth.ErrUnknownDevice, auth.ErrBadClientID or ErrOtherAuth, or are a
// *RefusedError: disabled, not able to tell.
type Keys interface {
	// PSK returns the pre-shared key for the identity a device shows in a TLS or DTLS
	// handshake (wire facts section 5.3). Who has it still has to log in.
	PSK(ctx context.Context, identity auth.PSK) ([]byte, error)
	// CoAPKey returns the key of a device's CoAP session without DTLS (wire facts
	// section 7.3).
	CoAPKey(ctx context.Context, id iot.DeviceID, random string) ([]byte, error)
}
