// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
)

// The values of the parameter securemode most devices use.
const (
	SecureTLS = 2 // TLS directly to the platform
	SecureTCP = 3 // plain TCP, or WebSocket without TLS
)

// Triple is what a device shows at CONNECT.
type Triple struct {
	ClientID string
	UserName string
	Password Secret
}

// MQTTOptions changes how SignMQTT makes a login. The zero value is ready.
type MQTTOptions struct {
	ClientID  string    // "" means "{pk}.{dn}"
	Method    Method    // 0 means HMACSHA256
	Timestamp time.Time // signed and sent when not zero
	// SecureMode tells the platform how the connection is secured; 0 means
	// SecureTLS.
	SecureMode int
	// ServerSubscribe asks the platform to subscribe the session to all system
	// topics by itself (_ss=1; wire facts, section 1 row 3).
	ServerSubscribe bool
	// Ext is the bit set of the parameter ext: 1 asks for RRPC under /ext/rrpc, 2
	// for notices under /ext. It is sent when not 0.
	Ext int
	// Params are sent behind the others, in order: lan, _v, gw, pid, mid.
	Params []Param
}

// SignMQTT makes the login of a device (wire facts, section 3.2).
func SignMQTT(id iot.DeviceID, secret Secret, o MQTTOptions) Triple {
	cid, m := defaultID(o.ClientID, id), o.Method.or(HMACSHA256)
	signed := []Param{{"clientId", cid}, {"deviceName", id.Name}, {"productKey", id.Product}}
	params := []Param{{"securemode", strconv.Itoa(o.secureMode())}, {"signmethod", m.String()}}
	if !o.Timestamp.IsZero() {
		ts := Param{"timestamp", strconv.FormatInt(o.Timestamp.UnixMilli(), 10)}
		signed, params = append(signed, ts), append(params, ts)
	}
	if o.ServerSubscribe {
		params = append(params, Param{"_ss", "1"})
	}
	if o.Ext != 0 {
		params = append(params, Param{"ext", strconv.Itoa(o.Ext)})
	}
	return Triple{
		ClientID: joinClientID(cid, params, o.Params),
		UserName: userName(id),
		Password: NewSecret(Sign(m, secret, signed...)),
	}
}

func userName(id iot.DeviceID) string { return id.Name + "&" + id.Product }

// defaultID returns the client id chosen, or "{pk}.{dn}".
func defaultID(chosen string, id iot.DeviceID) string {
	if chosen == "" {
		return id.Product + "." + id.Name
	}
	return chosen
}

func (o *MQTTOptions) secureMode() int {
	if o.SecureMode == 0 {
		return SecureTLS
	}
	return o.SecureMode
}

// joinClientID writes "{id}|{k=v,...}|".
func joinClientID(id string, lists ...[]Param) string {
	var b strings.Builder
	b.WriteString(id)
	sep := byte('|')
	for _, params := range lists {
		for _, p := range params {
			b.WriteByte(sep)
			b.WriteString(p.Key)
			b.WriteByte('=')
			b.WriteString(p.Value)
			sep = ','
		}
	}
	b.WriteByte('|')
	return b.String()
}
