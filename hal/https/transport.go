// SPDX-License-Identifier: Apache-2.0

package https

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
)

// ErrNoDownlink means that over HTTP nothing reaches a device but the answers to
// its own messages. It wraps errors.ErrUnsupported.
var ErrNoDownlink = fmt.Errorf("https: no way to the device: %w", errors.ErrUnsupported)

// ErrLogin means a kind of login this transport cannot make: only a signature with
// the DeviceSecret gets a token. It wraps errors.ErrUnsupported.
var ErrLogin = fmt.Errorf("https: login without a signature: %w", errors.ErrUnsupported)

// Transport is a hal.Transport for devices that only speak. The zero value of
// every field but URL is a good choice.
type Transport struct {
	// URL is where the platform is, such as
	// "https://iot-as-http.cn-shanghai.aliyuncs.com". http works too, for tests.
	URL string
	// TLS verifies the server; nil does against the system's roots.
	TLS *tls.Config
	// Net opens connections; nil is the operating system's.
	Net hal.Net
	// Timeout bounds a request whose context has no deadline; 0 is 10 s.
	Timeout time.Duration
	// Inbox is how many answers may wait for recv; 0 is 256. When it is full a
	// Publish waits.
	Inbox int
}

// New returns a Transport to url.
func New(url string) *Transport { return &Transport{URL: url} }

const (
	defaultTimeout = 10 * time.Second
	defaultInbox   = 256
	idleTimeout    = 90 * time.Second
)

// Connect implements hal.Transport: it logs in and gets a token. The login is that
// of MQTT, which signs the same. A refusal is a *hal.RefusedError that wraps a
// *CodeError; a login that is no signature fails with ErrLogin. What Login says
// about keep-alive and sessions means nothing here.
//
// The Conn ends when the platform does not take its token any more, after 48 hours
// at the latest, and when a request fails on its way: who connects anew has a new
// token.
func (t *Transport) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, fmt.Errorf("https: URL: %w", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("https: URL scheme %q: https and http are known", u.Scheme)
	}
	body, err := loginBody(l)
	if err != nil {
		return nil, err
	}
	timeout := orDefault(t.Timeout, defaultTimeout)
	c := &conn{base: strings.TrimSuffix(t.URL, "/"), timeout: timeout, web: t.client(timeout)}
	a, err := c.post(ctx, "/auth", "application/json", body)
	if err == nil && a.Code != CodeOK {
		err = refusal(a)
	}
	if err != nil {
		c.web.CloseIdleConnections()
		return nil, err
	}
	c.token = a.Info.Token
	c.inbox = inbox.New(orDefault(t.Inbox, defaultInbox), recv)
	return c, nil
}

// client makes the HTTP client of one Conn.
func (t *Transport) client(timeout time.Duration) *http.Client {
	tr := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: t.TLS.Clone(), ForceAttemptHTTP2: true, IdleConnTimeout: idleTimeout,
		// Of HTTP/2 a request that times out ends its stream alone: without a ping the
		// next would go into a dead connection too, for as long as TCP repeats.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 3 * timeout, PingTimeout: timeout},
	}
	if t.Net != nil {
		tr.DialContext, tr.Proxy = t.Net.DialContext, nil
	}
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// loginBody makes the body of /auth from a login for MQTT.
func loginBody(l hal.Login) ([]byte, error) {
	client, err := auth.ParseClientID(l.ClientID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLogin, err)
	}
	id, err := auth.ParseUserName(l.UserName)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if kind, ok := client.Get("authType"); ok && kind != "" {
		return nil, fmt.Errorf("%w: authType %.16q", ErrLogin, kind)
	}
	method, err := client.Method()
	if err != nil {
		return nil, fmt.Errorf("https: %w", err)
	}
	return alink.Marshal(struct {
		Version    string `json:"version"`
		ClientID   string `json:"clientId"`
		SignMethod string `json:"signmethod"`
		Sign       string `json:"sign"`
		ProductKey string `json:"productKey"`
		DeviceName string `json:"deviceName"`
		Timestamp  string `json:"timestamp,omitempty"`
	}{"default", client.ID, method.String(), l.Password.Reveal(), id.Product, id.Name, client.Timestamp()})
}

// refusal maps the code of a login to a reason.
func refusal(a *reply) error {
	reason := hal.Unavailable
	if a.Code == CodeAuth || a.Code == CodeParam {
		reason = hal.BadCredentials
	}
	return &hal.RefusedError{Reason: reason, Err: a.err()}
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
