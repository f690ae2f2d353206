// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

const (
	headerAuthName  = "X-Auth-Name"
	authPrefix      = "X-Auth-Param-"
	maxAuthParams   = 16
	authDeviceName  = "devicename"
	headerChannel   = "X-Channel-Id"
	headerMessageID = "X-Message-Id"
)

var errLogin = errors.New("http2: the login lacks something, or is none of a device")

// proof reads the login of a device from x-auth headers (wire facts section 8.1).
// Signed is everything but sign and signmethod, under the names other logins have:
// x-auth-param-client-id is clientId.
func proof(h http.Header) (hal.Proof, error) {
	var p hal.Proof
	if name := h.Get(headerAuthName); !strings.EqualFold(name, authDeviceName) {
		return p, errLogin
	}
	client := ""
	for key, values := range h {
		name, ok := strings.CutPrefix(key, authPrefix)
		if !ok || len(values) == 0 {
			continue
		}
		value := values[0]
		switch name = camel(name); name {
		case "sign":
			p.Sign = value
			continue
		case "signmethod", "signMethod":
			m, err := auth.ParseMethod(value)
			if err != nil {
				return p, err
			}
			p.Method = m
			continue
		case "clientId":
			client = value
		case "productKey":
			p.Device.Product = value
		case "deviceName":
			p.Device.Name = value
		}
		p.Params = append(p.Params, auth.Param{Key: name, Value: value})
	}
	switch {
	case p.Sign == "", client == "", utf8.RuneCountInString(client) > auth.MaxClientID, len(p.Params) > maxAuthParams:
		return p, errLogin
	case p.Device.Validate() != nil:
		return p, errLogin
	}
	return p, nil
}

// camel makes Client-Id clientId.
func camel(name string) string {
	var b strings.Builder
	for i, word := range strings.Split(strings.ToLower(name), "-") {
		if i > 0 && word != "" {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		b.WriteString(word)
	}
	return b.String()
}

func isBadProof(err error) bool {
	for _, bad := range []error{auth.ErrBadSign, auth.ErrBadMethod, auth.ErrUnknownDevice, auth.ErrTokenExpired, hal.ErrOtherAuth, errLogin} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}
