// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"strings"
	"unicode/utf8"

	iot "github.com/openalink/iot"
)

// MaxClientID is how many characters a client id may have before its bar.
const MaxClientID = 64

// ClientID is the client id of a login: "{id}|{k=v[,k=v...]}|". Its strings are
// parts of the text it was read from.
type ClientID struct {
	ID        string // before the first bar; empty when the platform shall choose
	params    string // between the bars
	method    string
	timestamp string
}

// ParseClientID reads a client id the way real devices write it (wire facts,
// section 1 rows 14 and 46): everything before the first bar is the id; what
// follows loses bars at its ends and is split at commas; white space around keys
// and values does not count; empty parameters and such without '=' are skipped;
// keys have no case, and the last of equal ones wins. It allocates nothing.
//
// The error wraps ErrBadClientID: no bar at all (not a login of this protocol),
// or an id of more than MaxClientID characters. The id is returned even then.
func ParseClientID(s string) (ClientID, error) {
	id, params, ok := strings.Cut(s, "|")
	c := ClientID{ID: id}
	switch {
	case !ok:
		return c, fmt.Errorf("%w: no bar in %.64q", ErrBadClientID, s)
	case len(id) > MaxClientID && utf8.RuneCountInString(id) > MaxClientID:
		return c, fmt.Errorf("%w: id of more than %d characters: %.64q", ErrBadClientID, MaxClientID, id)
	}
	c.params = strings.Trim(params, "| \t\r\n")
	for rest := c.params; rest != ""; {
		var key, value string
		key, value, rest = nextParam(rest)
		switch {
		case len(key) == len("signmethod") && strings.EqualFold(key, "signmethod"):
			c.method = value
		case len(key) == len("timestamp") && strings.EqualFold(key, "timestamp"):
			c.timestamp = value
		}
	}
	return c, nil
}

// nextParam takes one parameter off s. The key is empty for what is none.
func nextParam(s string) (key, value, rest string) {
	s, rest, _ = strings.Cut(s, ",")
	key, value, ok := strings.Cut(s, "=")
	if !ok {
		return "", "", rest
	}
	return strings.TrimSpace(key), strings.TrimSpace(value), rest
}

// Get returns the value of a parameter. Keys have no case; the last of equal
// ones wins.
func (c ClientID) Get(key string) (value string, ok bool) {
	for rest := c.params; rest != ""; {
		var k, v string
		k, v, rest = nextParam(rest)
		if k != "" && strings.EqualFold(k, key) {
			value, ok = v, true
		}
	}
	return value, ok
}

// Each calls f for every parameter in order, repeated keys included, until f
// returns false.
func (c ClientID) Each(f func(key, value string) bool) {
	for rest := c.params; rest != ""; {
		var k, v string
		k, v, rest = nextParam(rest)
		if k != "" && !f(k, v) {
			return
		}
	}
}

// Method returns the parameter signmethod, HMACMD5 when it is absent. The error
// wraps ErrBadMethod.
func (c ClientID) Method() (Method, error) { return ParseMethod(c.method) }

// Timestamp returns the parameter timestamp, empty when it is absent. It is text
// that was signed, not a time to trust: devices send the year 2050 or their
// uptime (wire facts, section 1 row 16).
func (c ClientID) Timestamp() string { return c.timestamp }

// Verify checks the password of a login: the signature over client id,
// DeviceName, ProductKey and, when there is one, timestamp (wire facts, section
// 3.2). It allocates nothing on success and for a wrong password. The error is
// ErrBadSign, or wraps ErrBadMethod.
func (c ClientID) Verify(password []byte, id iot.DeviceID, secret Secret) error {
	m, err := c.Method()
	if err != nil {
		return err
	}
	if secret.IsZero() {
		return ErrBadSign
	}
	var k keyed
	k.init(m, secret.Reveal())
	var buf [blockSize + stackText]byte
	text := append(append(k.begin(&buf), "clientId"...), c.ID...)
	text = append(append(text, "deviceName"...), id.Name...)
	text = append(append(text, "productKey"...), id.Product...)
	if c.timestamp != "" {
		text = append(append(text, "timestamp"...), c.timestamp...)
	}
	var want [maxSize]byte
	n := k.sum(&want, text)
	return compare(password, want[:n])
}

// VerifyRegister checks the password of a registration over MQTT: the signature
// over DeviceName, ProductKey and the parameter random, with the product's secret
// (wire facts, sections 4.4 and 4.5). The error is ErrBadSign, or wraps
// ErrBadMethod.
func (c ClientID) VerifyRegister(password []byte, id iot.DeviceID, product Secret) error {
	m, err := c.Method()
	if err != nil {
		return err
	}
	random, _ := c.Get("random")
	return Verify(m, product, password, "deviceName", id.Name, "productKey", id.Product, "random", random)
}

// ParseUserName reads the user name of a login, "{deviceName}&{productKey}". The
// last ampersand splits. The names are parts of s. The error wraps
// ErrBadUserName.
func ParseUserName(s string) (iot.DeviceID, error) {
	i := strings.LastIndexByte(s, '&')
	if i < 0 {
		return iot.DeviceID{}, fmt.Errorf("%w: no '&' in %.64q", ErrBadUserName, s)
	}
	id := iot.DeviceID{Product: s[i+1:], Name: s[:i]}
	if err := id.Validate(); err != nil {
		return iot.DeviceID{}, fmt.Errorf("%w: %w", ErrBadUserName, err)
	}
	return id, nil
}
