// SPDX-License-Identifier: Apache-2.0

package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
)

// Transport reaches a platform at a URL. The zero value of every field but URL
// is a good choice.
type Transport struct {
	// URL is where the platform is: "tcp://host:1883", "tls://host:8883",
	// "ws://host/mqtt" or "wss://host/mqtt". mqtt and mqtts are taken for tcp and
	// tls.
	URL string
	// TLS is used with tls and wss; nil verifies the server against the system's
	// roots.
	TLS *tls.Config
	// Net opens the connection; nil is the operating system's. WebSocket always
	// uses the operating system's.
	Net hal.Net
	// Level is the MQTT version: 4 is 3.1.1, 3 is 3.1; 0 means 4.
	Level byte
	// WriteTimeout bounds a write to a connection that takes nothing; 0 is 10 s.
	WriteTimeout time.Duration
	// Inbox is how many received messages may wait for recv; 0 is 256. When it is
	// full the connection is not read until recv catches up.
	Inbox int
}

// New returns a Transport to url.
func New(url string) *Transport { return &Transport{URL: url} }

const (
	defaultWriteTimeout = 10 * time.Second
	defaultInbox        = 256
	pingTimeout         = 10 * time.Second
)

// Connect implements hal.Transport.
func (t *Transport) Connect(ctx context.Context, l hal.Login, recv func(iot.Message)) (hal.Conn, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, fmt.Errorf("mqtt: URL: %w", err)
	}
	switch u.Scheme {
	case "mqtt":
		u.Scheme = "tcp"
	case "mqtts":
		u.Scheme = "tls"
	case "tcp", "tls", "ws", "wss":
	default:
		return nil, fmt.Errorf("mqtt: URL scheme %q: tcp, tls, ws and wss are known", u.Scheme)
	}
	c := &conn{inbox: inbox.New(orDefault(t.Inbox, defaultInbox), recv)}
	c.client = paho.NewClient(t.options(ctx, u, l, c))
	token := c.client.Connect()
	select {
	case <-token.Done():
		err = token.Error()
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		c.client.Disconnect(0)
		c.inbox.End()
		c.inbox.Wait()
		return nil, refusal(err)
	}
	return c, nil
}

func (t *Transport) options(ctx context.Context, u *url.URL, l hal.Login, c *conn) *paho.ClientOptions {
	o := paho.NewClientOptions().AddBroker(u.String()).
		SetClientID(l.ClientID).SetUsername(l.UserName).SetPassword(l.Password.Reveal()).
		SetKeepAlive(l.KeepAlive).SetCleanSession(l.CleanSession).SetProtocolVersion(uint(orDefault(t.Level, 4))).
		SetWriteTimeout(orDefault(t.WriteTimeout, defaultWriteTimeout)).SetPingTimeout(pingTimeout).
		SetAutoReconnect(false).SetConnectRetry(false).SetOrderMatters(true).SetMessageChannelDepth(0).
		SetDefaultPublishHandler(c.received).SetConnectionLostHandler(func(paho.Client, error) { c.inbox.End() })
	if t.TLS != nil {
		o.SetTLSConfig(t.TLS)
	}
	if t.Net != nil && (u.Scheme == "tcp" || u.Scheme == "tls") {
		o.SetCustomOpenConnectionFn(func(u *url.URL, o paho.ClientOptions) (conn netConn, err error) { return t.dial(ctx, u) })
	}
	if deadline, ok := ctx.Deadline(); ok {
		o.SetConnectTimeout(time.Until(deadline))
	}
	o.SetHTTPHeaders(http.Header{})
	return o
}

// dial opens a connection on the embedder's network.
func (t *Transport) dial(ctx context.Context, u *url.URL) (netConn, error) {
	nc, err := t.Net.DialContext(ctx, "tcp", u.Host)
	if err != nil || u.Scheme == "tcp" {
		return nc, err
	}
	cfg := t.TLS.Clone()
	if cfg == nil {
		cfg = new(tls.Config)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = u.Hostname()
	}
	return tls.Client(nc, cfg), nil
}

// refusal maps a CONNACK code to the platform's reason.
func refusal(err error) error {
	for _, r := range []struct {
		err    error
		reason hal.Reason
	}{
		{packets.ErrorRefusedBadProtocolVersion, hal.BadVersion},
		{packets.ErrorRefusedIDRejected, hal.BadClientID},
		{packets.ErrorRefusedServerUnavailable, hal.Unavailable},
		{packets.ErrorRefusedBadUsernameOrPassword, hal.BadCredentials},
		{packets.ErrorRefusedNotAuthorised, hal.NotAuthorized},
	} {
		if errors.Is(err, r.err) {
			return &hal.RefusedError{Reason: r.reason}
		}
	}
	return fmt.Errorf("mqtt: connect: %w", err)
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
