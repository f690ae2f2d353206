// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"strconv"

	iot "github.com/openalink/iot"
)

// The values of the parameter authType that concern registration (wire facts,
// sections 4.4 and 4.5).
const (
	AuthRegister = "register" // ask for the DeviceSecret of a device made beforehand
	AuthRegNWL   = "regnwl"   // register a device nobody made beforehand, get a token
	AuthConnNWL  = "connwl"   // log in with that token
)

// secureNoWhitelist is the securemode of devices nobody made beforehand.
const secureNoWhitelist = -2

// RegisterOptions changes how SignRegister makes a login.
type RegisterOptions struct {
	AuthType string // AuthRegister (the default) or AuthRegNWL
	ClientID string // "" means "{pk}.{dn}"
	Method   Method // 0 means HMACSHA256
	Random   string // signed and sent; must not be empty; any text will do
	Params   []Param
}

// SignRegister makes the login of a device that has only its product's secret
// and wants credentials of its own. The connection is good for nothing but the
// answer, on /ext/register or /ext/regnwl. TLS is a must.
func SignRegister(id iot.DeviceID, product Secret, o RegisterOptions) Triple {
	if o.AuthType == "" {
		o.AuthType = AuthRegister
	}
	mode := SecureTLS
	if o.AuthType == AuthRegNWL {
		mode = secureNoWhitelist
	}
	m := o.Method.or(HMACSHA256)
	return Triple{
		ClientID: joinClientID(defaultID(o.ClientID, id), []Param{
			{"authType", o.AuthType}, {"random", o.Random}, {"signmethod", m.String()}, {"securemode", strconv.Itoa(mode)},
		}, o.Params),
		UserName: userName(id),
		Password: NewSecret(Sum(m, product, "deviceName", id.Name, "productKey", id.Product, "random", o.Random)),
	}
}

// TokenLogin makes the login of a device that got a client id and a token from
// /ext/regnwl. The token is the password.
func TokenLogin(id iot.DeviceID, clientID string, token Secret, params ...Param) Triple {
	return Triple{
		ClientID: joinClientID(clientID, []Param{
			{"securemode", strconv.Itoa(secureNoWhitelist)}, {"authType", AuthConnNWL},
		}, params),
		UserName: userName(id),
		Password: token,
	}
}
