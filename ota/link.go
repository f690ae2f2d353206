// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// The errors of a link.
var (
	// ErrLink means that nobody here signed the link as it is.
	ErrLink = errors.New("ota: link is not valid")
	// ErrExpired means that its time is over.
	ErrExpired = errors.New("ota: link expired")
)

// DefaultPath is where Handler expects to be mounted.
const DefaultPath = "/ota/"

// DefaultValidity is how long a link is good, as in the cloud.
const DefaultValidity = 24 * time.Hour

// MinLinkKey is the least length of the key of Links.
const MinLinkKey = 32

// Links sign addresses of files: for one device, one file, until a time. They
// need no memory of what was signed.
type Links struct {
	base     string
	path     string
	key      []byte
	validity time.Duration
}

// NewLinks signs with a key of at least MinLinkKey bytes. base is how devices
// reach the Handler: scheme and host, "https://ota.example.com", and a path when
// it is mounted elsewhere than at DefaultPath. Give no port: old devices do not
// understand one (wire facts section 1 row 22). Validity zero is DefaultValidity.
func NewLinks(base string, key auth.Secret, validity time.Duration) (*Links, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("ota: base of links %q is not like https://ota.example.com", base)
	}
	if len(key.Reveal()) < MinLinkKey {
		return nil, fmt.Errorf("ota: key of links is shorter than %d bytes", MinLinkKey)
	}
	if validity == 0 {
		validity = DefaultValidity
	}
	if validity < time.Second {
		return nil, fmt.Errorf("ota: links valid for %v", validity)
	}
	l := &Links{base: u.Scheme + "://" + u.Host, path: strings.TrimSuffix(u.Path, "/") + "/", key: []byte(key.Reveal()), validity: validity}
	if l.path == "/" {
		l.path = DefaultPath
	}
	return l, nil
}

// Grant is what a link allows.
type Grant struct {
	File    string // id of the blob
	Device  iot.DeviceID
	Expires time.Time // to the second
}

// Sign returns the address of a file for a device, good from now on.
func (l *Links) Sign(file string, device iot.DeviceID, now time.Time) string {
	g := Grant{File: file, Device: device, Expires: now.Add(l.validity)}
	return l.base + l.path + file + "/" + base64.RawURLEncoding.EncodeToString([]byte(device.String())) +
		"?e=" + strconv.FormatInt(g.Expires.Unix(), 10) + "&s=" + l.sign(&g)
}

// Check returns what an address allows. The error is ErrLink or ErrExpired; the
// Grant then says what was asked for, as far as it can be read, for a log.
func (l *Links) Check(u *url.URL, now time.Time) (Grant, error) {
	rest, ok := strings.CutPrefix(u.EscapedPath(), l.path)
	file, device, two := strings.Cut(rest, "/")
	if !ok || !two || !validID(file) {
		return Grant{}, fmt.Errorf("%w: path", ErrLink)
	}
	g := Grant{File: file}
	name, err := base64.RawURLEncoding.Strict().DecodeString(device)
	if err == nil {
		g.Device, err = iot.ParseDeviceID(string(name))
	}
	if err != nil {
		return g, fmt.Errorf("%w: device", ErrLink)
	}
	q := u.Query()
	seconds, err := strconv.ParseInt(q.Get("e"), 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return g, fmt.Errorf("%w: expiry", ErrLink)
	}
	g.Expires = time.Unix(seconds, 0)
	if !hmac.Equal([]byte(l.sign(&g)), []byte(q.Get("s"))) {
		return g, fmt.Errorf("%w: signature", ErrLink)
	}
	if !now.Before(g.Expires) {
		return g, fmt.Errorf("%w at %s", ErrExpired, g.Expires.UTC().Format(time.RFC3339))
	}
	return g, nil
}

// sign is the first half of the HMAC: 128 bits, for short addresses.
func (l *Links) sign(g *Grant) string {
	mac := hmac.New(sha256.New, l.key)
	text := binary.BigEndian.AppendUint64(nil, uint64(g.Expires.Unix()))
	text = append(append(text, g.File...), 0)
	mac.Write(g.Device.Append(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}
