// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hal/haltest"
)

// generous is a platform that gives everybody a token, and keys of the secret that
// devices of the contract have.
type generous struct{ onlyAccess }

var portSecret = auth.NewSecret("0123456789abcdef0123456789abcdef")

func (generous) IssueToken(context.Context, *hal.Proof, auth.Use) (hal.TokenGrant, error) {
	return hal.TokenGrant{Token: auth.NewSecret("token"), Expires: time.Now().Add(time.Hour)}, nil
}

func (generous) PSK(_ context.Context, identity auth.PSK) ([]byte, error) {
	id, stamp, err := identity.Parse()
	return auth.PSKKey(id, portSecret, stamp), err
}

func (generous) CoAPKey(_ context.Context, _ iot.DeviceID, random string) ([]byte, error) {
	return auth.CoAPKey(portSecret, random), nil
}

func TestPort(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := "UDP"
		if secure {
			name = "DTLS"
		}
		t.Run(name, func(t *testing.T) {
			haltest.TestDevice(t, haltest.Port{
				Speaks: true, Net: new(net.Dialer),
				Transport: func(t *testing.T, a hal.Access) hal.Transport {
					_, plain, dtls := listen(t, coap.Config{Platform: generous{onlyAccess{a, new(sync.Mutex)}}, Timeout: 2 * time.Second})
					url := "coap://" + plain
					if secure {
						url = "coaps://" + dtls
					}
					return &coap.Transport{URL: url, Net: new(net.Dialer)}
				},
			})
		})
	}
}
