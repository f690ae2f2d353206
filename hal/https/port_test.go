// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"context"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/https"
)

// generous is a platform that gives everybody a token.
type generous struct {
	noTokens
	hal.Access
}

func (generous) IssueToken(context.Context, *hal.Proof, auth.Use) (hal.TokenGrant, error) {
	return hal.TokenGrant{Token: auth.NewSecret("token"), Expires: time.Now().Add(time.Hour)}, nil
}

func TestPort(t *testing.T) {
	haltest.TestDevice(t, haltest.Port{
		Speaks: true, Net: new(net.Dialer),
		Transport: func(t *testing.T, a hal.Access) hal.Transport {
			handler, err := https.NewHandler(https.Config{Platform: generous{Access: a}})
			if err != nil {
				t.Fatal(err)
			}
			web := httptest.NewServer(handler)
			t.Cleanup(web.Close)
			return &https.Transport{URL: web.URL, Net: new(net.Dialer)}
		},
	})
}
