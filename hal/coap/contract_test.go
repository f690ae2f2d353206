// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"errors"
	"fmt"
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

// onlyAccess completes a platform that only lets in. The race detector does not
// see what UDP orders: before is taken by who sends and then by who receives.
type onlyAccess struct {
	hal.Access
	before *sync.Mutex
}

func (a onlyAccess) Connect(ctx context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	a.before.Lock()
	defer a.before.Unlock()
	return a.Access.Connect(ctx, r)
}

func (onlyAccess) IssueToken(context.Context, *hal.Proof, auth.Use) (hal.TokenGrant, error) {
	return hal.TokenGrant{}, errors.New("none")
}

func (onlyAccess) VerifyToken(context.Context, auth.Token, auth.Use) (iot.DeviceID, error) {
	return iot.DeviceID{}, errors.New("none")
}

func (onlyAccess) RevokeTokens(context.Context, iot.DeviceID) error { return nil }

func (onlyAccess) PSK(context.Context, auth.PSK) ([]byte, error) { return []byte(labKey), nil }

func (onlyAccess) CoAPKey(context.Context, iot.DeviceID, string) ([]byte, error) {
	return nil, errors.New("none")
}

// door is a Server as the contract sees it.
type door struct {
	t      *testing.T
	server *coap.Server
	dial   func() (net.Conn, error)
	before *sync.Mutex
}

func (d door) Post(ctx context.Context, token, topic string, payload []byte) ([]byte, error) {
	conn, err := d.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	m := post("/topic"+topic, token, payload)
	d.before.Lock()
	d.before.Unlock() //nolint:staticcheck // for its order
	if _, err := conn.Write(m.bytes()); err != nil {
		return nil, err
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		return nil, err
	}
	a := parse(d.t, b[:n])
	if a.code != byte(coap.CodeContent) {
		return nil, fmt.Errorf("%v %s", coap.Code(a.code), a.payload)
	}
	return a.payload, nil
}

func (d door) Close() error { return d.server.Close() }

// TestContract: a client on UDP that goes away is noticed when its time is over.
func TestContract(t *testing.T) {
	open := func(secure bool) func(*testing.T, hal.Access) haltest.RequestDoor {
		return func(t *testing.T, a hal.Access) haltest.RequestDoor {
			before := new(sync.Mutex)
			s, plain, dtls := listen(t, coap.Config{Platform: onlyAccess{a, before}, Cleartext: true, Timeout: 2 * time.Second})
			if secure {
				return door{t, s, func() (net.Conn, error) { return tryPSK(patience, dtls) }, before}
			}
			return door{t, s, func() (net.Conn, error) { return net.Dial("udp", plain) }, before}
		}
	}
	t.Run("UDP", func(t *testing.T) { haltest.TestRequestDoor(t, open(false)) })
	t.Run("DTLS", func(t *testing.T) { haltest.TestRequestDoor(t, open(true)) })
}
