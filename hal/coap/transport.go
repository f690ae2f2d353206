// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
)

// ErrNoDownlink means that over CoAP nothing reaches a device but the answers to
// its own messages. It wraps errors.ErrUnsupported.
var ErrNoDownlink = fmt.Errorf("coap: no way to the device: %w", errors.ErrUnsupported)

// ErrLogin means a kind of login this transport cannot make: only a signature with
// the DeviceSecret gets a token, and only the secret itself makes keys. It wraps
// errors.ErrUnsupported.
var ErrLogin = fmt.Errorf("coap: login without the DeviceSecret: %w", errors.ErrUnsupported)

// Transport is a hal.Transport for devices that only speak. The zero value of
// every field but URL is a good choice.
type Transport struct {
	// URL is where the platform is: "coaps://host:5684" with DTLS, or
	// "coap://host:5682" with AES alone. Without a port these are taken.
	URL string
	// TLS, for coaps, verifies the server by its certificate. With nil both ends
	// prove themselves by a key made of the DeviceSecret, which is what vendor
	// firmware does and needs no authority. Roots, server name and
	// InsecureSkipVerify count, the rest does not.
	TLS *tls.Config
	// Net opens connections; nil is the operating system's.
	Net hal.Net
	// Timeout bounds a request whose context has no deadline; 0 is 60 s.
	Timeout time.Duration
	// Repeat is how long to wait before a message is sent again, twice as long each
	// time, four times at most; 0 is 2 s (RFC 7252 section 4.8).
	Repeat time.Duration
	// Inbox is how many answers may wait for recv; 0 is 256. When it is full a
	// Publish waits.
	Inbox int
}

// New returns a Transport to url.
func New(url string) *Transport { return &Transport{URL: url} }

const (
	clientTimeout = 60 * time.Second
	clientRepeat  = 2 * time.Second
	clientInbox   = 256

	portAES  = "5682"
	portDTLS = "5684"
)

// Connect implements hal.Transport: it logs in and gets a token. A refusal is a
// *hal.RefusedError that wraps a *CodeError; without Login.DeviceSecret it fails
// with ErrLogin, unless the server is verified by its certificate. What Login says
// about keep-alive and sessions means nothing here.
//
// The Conn ends when the platform does not take its token any more, after 48 hours
// at the latest, and when a request fails on its way: who connects anew has a new
// token.
func (t *Transport) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, fmt.Errorf("coap: URL: %w", err)
	}
	if u.Scheme != "coaps" && u.Scheme != "coap" {
		return nil, fmt.Errorf("coap: URL scheme %q: coaps and coap are known", u.Scheme)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, orDefault(t.Timeout, clientTimeout))
		defer cancel()
	}
	who, err := credentialsOf(l)
	if err == nil && who.secret.IsZero() && (u.Scheme == "coap" || t.TLS == nil) {
		err = ErrLogin
	}
	if err != nil {
		return nil, err
	}
	nc, err := t.dial(ctx, u, who)
	if err != nil {
		return nil, err
	}
	c := newConn(nc, orDefault(t.Timeout, clientTimeout), orDefault(t.Repeat, clientRepeat))
	if err := c.login(ctx, who, u.Scheme == "coap"); err != nil {
		_ = nc.Close()
		return nil, err
	}
	size := t.Inbox
	if size <= 0 {
		size = clientInbox
	}
	c.inbox = inbox.New(size, recv)
	return c, nil
}

// dial opens the socket and, for coaps, makes the session.
func (t *Transport) dial(ctx context.Context, u *url.URL, who credentials) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = portAES
		if u.Scheme == "coaps" {
			port = portDTLS
		}
	}
	open := new(net.Dialer).DialContext
	if t.Net != nil {
		open = t.Net.DialContext
	}
	nc, err := open(ctx, "udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("coap: %w", err)
	}
	if u.Scheme == "coap" {
		return nc, nil
	}
	conn, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(nc), nc.RemoteAddr(), t.options(u.Hostname(), who)...)
	if err == nil {
		err = conn.HandshakeContext(ctx)
	}
	if err != nil {
		_ = nc.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("coap: DTLS: %w", err)
	}
	return conn, nil
}

// options are those of a device's handshake.
func (t *Transport) options(host string, who credentials) []dtls.ClientOption {
	o := []dtls.ClientOption{
		dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()),
		dtls.WithLoggerFactory(quiet()),
		dtls.WithMTU(maxDatagram),
	}
	if t.TLS == nil {
		identity := auth.PSKIdentity(who.id, pskTimestamp)
		return append(
			o,
			dtls.WithPSK(func([]byte) ([]byte, error) { return auth.PSKKey(who.id, who.secret, pskTimestamp), nil }),
			dtls.WithPSKIdentityHint([]byte(identity)),
			dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_CCM_8),
			dtls.WithCustomCipherSuites(customSuites),
		)
	}
	if t.TLS.ServerName != "" {
		host = t.TLS.ServerName
	}
	o = append(o, dtls.WithServerName(host), dtls.WithInsecureSkipVerify(t.TLS.InsecureSkipVerify))
	if t.TLS.RootCAs != nil {
		o = append(o, dtls.WithRootCAs(t.TLS.RootCAs))
	}
	return o
}

// pskTimestamp is what the vendor's firmware writes into its identity: the year
// 2050, so that the key stays the same.
const pskTimestamp = "2524608000000"

// credentials are what a device logs in with, as this protocol needs it.
type credentials struct {
	id       iot.DeviceID
	clientID string
	secret   auth.Secret // zero when there is only a signature
	sign     auth.Secret // made for MQTT, which signs the same
	method   auth.Method
	time     string
}

// credentialsOf takes a login for MQTT apart.
func credentialsOf(l hal.Login) (w credentials, err error) {
	client, err := auth.ParseClientID(l.ClientID)
	if err != nil {
		return w, fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if w.id, err = auth.ParseUserName(l.UserName); err != nil {
		return w, fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if kind, ok := client.Get("authType"); ok && kind != "" {
		return w, fmt.Errorf("%w: authType %.16q", ErrLogin, kind)
	}
	if w.method, err = client.Method(); err != nil {
		return w, fmt.Errorf("coap: %w", err)
	}
	w.clientID, w.secret, w.sign, w.time = client.ID, l.DeviceSecret, l.Password, client.Timestamp()
	return w, nil
}

// loginBody is the body of /auth.
type loginBody struct {
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName"`
	ClientID   string `json:"clientId"`
	SignMethod string `json:"signmethod"`
	Sign       string `json:"sign"`
	Seq        string `json:"seq,omitempty"`
	Timestamp  string `json:"timestamp,omitempty"`
}

// body signs a login. symmetric asks for a session without DTLS.
func (w credentials) body(symmetric bool) loginBody {
	b := loginBody{ProductKey: w.id.Product, DeviceName: w.id.Name, ClientID: w.clientID}
	if w.secret.IsZero() {
		b.SignMethod, b.Sign, b.Timestamp = w.method.String(), w.sign.Reveal(), w.time
		return b
	}
	params := []auth.Param{{Key: "clientId", Value: b.ClientID}, {Key: "deviceName", Value: b.DeviceName}, {Key: "productKey", Value: b.ProductKey}}
	if symmetric {
		var r [4]byte
		_, _ = rand.Read(r[:]) // never fails
		b.Seq = fmt.Sprint(1 + uint32(r[0])<<16 + uint32(r[1])<<8 + uint32(r[2]))
		params = append(params, auth.Param{Key: "seq", Value: b.Seq})
	}
	b.SignMethod, b.Sign = auth.HMACSHA1.String(), auth.Sign(auth.HMACSHA1, w.secret, params...)
	return b
}
