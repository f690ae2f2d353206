// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"context"
	"net"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/http2"
)

// noTokens is a platform without data streams.
type noTokens struct{ hal.Access }

func (noTokens) IssueToken(context.Context, *hal.Proof, auth.Use) (hal.TokenGrant, error) {
	return hal.TokenGrant{}, auth.ErrUnknownDevice
}

func (noTokens) VerifyToken(context.Context, auth.Token, auth.Use) (iot.DeviceID, error) {
	return iot.DeviceID{}, auth.ErrBadSign
}

func (noTokens) RevokeTokens(context.Context, iot.DeviceID) error { return nil }

func TestPort(t *testing.T) {
	haltest.TestDevice(t, haltest.Port{
		Transport: func(t *testing.T, a hal.Access) hal.Transport {
			_, web := listen(t, http2.Config{Platform: noTokens{a}})
			return &http2.Transport{URL: "h2c" + strings.TrimPrefix(web.URL, "http"), Net: new(net.Dialer)}
		},
		Net: new(net.Dialer),
	})
}
