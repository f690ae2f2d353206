// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
)

// Transport is a hal.Transport over one HTTP/2 connection, to a Handler of this
// package. The zero value of every field but URL is a good choice.
type Transport struct {
	// URL is where the platform is: "h2://host" over TLS, or "h2c://host" without, for
	// tests; https and http are taken for them. A path is put in front of the
	// Handler's.
	URL string
	// TLS verifies the server; nil does against the system's roots.
	TLS *tls.Config
	// Net opens the connection; nil is the operating system's.
	Net hal.Net
	// Timeout bounds requests whose context has no deadline; 0 is 10 s.
	Timeout time.Duration
	// Inbox is how many messages may wait for recv; 0 is 256. When it is full nothing
	// more is read.
	Inbox int
}

// New returns a Transport to url.
func New(url string) *Transport { return &Transport{URL: url} }

const (
	defaultTimeout = 10 * time.Second
	defaultInbox   = 256
)

// StatusError is the answer to a request that failed.
type StatusError struct {
	Status  int    // of HTTP
	Message string // what the platform says
}

// Error says the status and the message.
func (e *StatusError) Error() string {
	return fmt.Sprintf("http2: status %d: %s", e.Status, e.Message)
}

// Connect implements hal.Transport. A refusal is a *hal.RefusedError that wraps a
// *StatusError.
func (t *Transport) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	base, web, err := t.client(l.KeepAlive)
	if err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, orDefault(t.Timeout, defaultTimeout))
		defer cancel()
	}
	life, end := context.WithCancel(context.Background()) // the stream outlives the login
	answers, up := io.Pipe()
	req, err := http.NewRequestWithContext(life, http.MethodPost, base+pathConnect, answers)
	if err != nil {
		end()
		return nil, fmt.Errorf("http2: %w", err)
	}
	loginHeader(req.Header, &l)
	stop := context.AfterFunc(ctx, func() {
		end()
		_ = answers.CloseWithError(ctx.Err()) // a pipe's never fails
	})
	resp, err := web.RoundTrip(req)
	if !stop() && err == nil {
		_ = resp.Body.Close()
		err = ctx.Err()
	}
	if err == nil && (resp.StatusCode != http.StatusOK || resp.Header.Get(headerChannel) == "") {
		err = refusal(statusError(resp))
		_ = resp.Body.Close()
	}
	if err != nil {
		end()
		_ = up.Close() // a pipe's never fails
		web.close()
		return nil, connectError(ctx, err)
	}
	c := &conn{
		base: base, web: web, timeout: orDefault(t.Timeout, defaultTimeout), id: resp.Header.Get(headerChannel),
		life: life, end: end, up: up, down: resp.Body, inbox: inbox.New(orDefault(t.Inbox, defaultInbox), recv),
	}
	c.running.Go(c.read)
	if l.KeepAlive > 0 {
		c.running.Go(func() { c.keepAlive(l.KeepAlive) })
	}
	return c, nil
}

func connectError(ctx context.Context, err error) error {
	_, refused := errors.AsType[*hal.RefusedError](err)
	switch {
	case refused:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("http2: connect: %w", err)
}

func loginHeader(h http.Header, l *hal.Login) {
	h.Set(headerAuthName, authTriple)
	h.Set(headerClientID, l.ClientID)
	h.Set(headerUserName, l.UserName)
	if !l.Password.IsZero() {
		h.Set(headerPassword, l.Password.Reveal())
	}
	h.Set(headerKeepAlive, strconv.FormatInt(int64(l.KeepAlive/time.Second), 10))
	h.Set(headerClean, "0")
	if l.CleanSession {
		h.Set(headerClean, "1")
	}
	h.Set("Content-Type", "application/x-ndjson")
}

// client makes the wires of one Conn, and the URL its paths stand behind.
func (t *Transport) client(keepAlive time.Duration) (base string, web *wires, err error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "", nil, fmt.Errorf("http2: URL: %w", err)
	}
	protocols := new(http.Protocols)
	switch u.Scheme {
	case "h2", "https":
		u.Scheme = "https"
		protocols.SetHTTP2(true)
	case "h2c", "http":
		u.Scheme = "http"
		protocols.SetUnencryptedHTTP2(true)
	default:
		return "", nil, fmt.Errorf("http2: URL scheme %q: h2 and h2c are known", u.Scheme)
	}
	w := &wires{net: t.Net}
	w.Transport = &http.Transport{
		Protocols: protocols, TLSClientConfig: onlyHTTP2(t.TLS), DialContext: w.dial,
		HTTP2: &http.HTTP2Config{SendPingTimeout: keepAlive, PingTimeout: orDefault(t.Timeout, defaultTimeout)},
	}
	if t.Net == nil {
		w.net, w.Proxy = new(net.Dialer), http.ProxyFromEnvironment
	}
	u.Path, u.RawPath, u.RawQuery = strings.TrimRight(u.Path, "/"), "", ""
	return u.String(), w, nil
}

// errNoHTTP2 means a server that did not agree to HTTP/2 in the handshake.
var errNoHTTP2 = errors.New("http2: the server does not offer HTTP/2")

// onlyHTTP2 has a handshake fail that does not agree on HTTP/2: net/http would go on
// with HTTP/1.1, where a request cannot stay open.
func onlyHTTP2(cfg *tls.Config) *tls.Config {
	if cfg = cfg.Clone(); cfg == nil {
		cfg = new(tls.Config)
	}
	before := cfg.VerifyConnection
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if state.NegotiatedProtocol != "h2" {
			return errNoHTTP2
		}
		if before != nil {
			return before(state)
		}
		return nil
	}
	return cfg
}

// wires is an HTTP transport that can be closed: net/http forgets connections whose
// last request is just ending.
type wires struct {
	*http.Transport
	net hal.Net

	mu     sync.Mutex
	closed bool
	open   []net.Conn
}

func (w *wires) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := w.net.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = nc.Close()
		return nil, net.ErrClosed
	}
	w.open = append(w.open, nc)
	return nc, nil
}

func (w *wires) close() {
	w.CloseIdleConnections()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, nc := range w.open {
		_ = nc.Close() // closed, as a rule
	}
}

// maxReply is the longest answer read of what is not a stream.
const maxReply = 64 << 10

// statusError reads an answer that is not a success.
func statusError(resp *http.Response) *StatusError {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply)) // half a message is better than none
	var s status
	if json.Unmarshal(raw, &s) != nil || s.Message == "" {
		s.Message = http.StatusText(resp.StatusCode)
	}
	return &StatusError{Status: resp.StatusCode, Message: s.Message}
}

// refusal maps the status of a login to a reason.
func refusal(e *StatusError) error {
	reason := hal.Unavailable
	switch e.Status {
	case http.StatusHTTPVersionNotSupported:
		reason = hal.BadVersion
	case http.StatusBadRequest:
		reason = hal.BadClientID
	case http.StatusUnauthorized:
		reason = hal.BadCredentials
	case http.StatusForbidden:
		reason = hal.NotAuthorized
	case http.StatusTooManyRequests:
		return &hal.RefusedError{Reason: reason, Err: errors.Join(hal.ErrThrottled, e)}
	}
	return &hal.RefusedError{Reason: reason, Err: e}
}
