// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// login is a CONNECT taken apart.
type login struct {
	device   iot.DeviceID
	client   auth.ClientID
	password auth.Password
}

// parseLogin reads user name and client id. What cannot be read of the device's
// name stays empty; the error says what is wrong.
func parseLogin(r *hal.ConnectRequest) (login, hal.Reason, error) {
	var l login
	id, err := auth.ParseUserName(r.UserName)
	if err != nil {
		return l, hal.BadCredentials, err
	}
	l.device = id
	if l.client, err = auth.ParseClientID(r.ClientID); err != nil {
		return l, hal.BadClientID, err
	}
	password, ok := r.Credential.(auth.Password)
	if !ok {
		return l, hal.BadCredentials, fmt.Errorf("%w: no password", ErrInvalid)
	}
	l.password = password
	return l, 0, nil
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
