// SPDX-License-Identifier: Apache-2.0

package https

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
	"github.com/openalink/iot/internal/single"
)

// maxReply is the longest answer read: the largest message in base64 and what is
// around it.
const maxReply = 512 << 10

// conn is a login of a device. It implements hal.SubscribingConn, to say that
// there are no subscriptions.
type conn struct {
	base    string
	timeout time.Duration
	web     *http.Client
	token   auth.Secret
	inbox   *inbox.Inbox
}

// reply is an answer of the platform.
type reply struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Info    struct {
		Token     auth.Secret `json:"token"`
		MessageID int64       `json:"messageId"`
		Data      []byte      `json:"data"`
	} `json:"info"`
}

func (a *reply) err() error { return &CodeError{Code: a.Code, Message: a.Message} }

// Publish implements hal.Conn, with the same guarantee for every QoS: when it
// returns nil, the platform kept the message, and what answers it is on its way to
// recv. A *CodeError means that the platform did not take it; it is wrapped in a
// *hal.RejectedError if it never will. The Conn goes on unless the code is about the
// token.
func (c *conn) Publish(ctx context.Context, m iot.Message) error {
	select {
	case <-c.inbox.Done():
		return hal.ErrGone
	default:
	}
	path := "/topic/" + strings.TrimPrefix((&url.URL{Path: m.Topic}).EscapedPath(), "/")
	a, err := c.post(ctx, path, "application/octet-stream", m.Payload)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.inbox.End()
		return fmt.Errorf("%w: %w", hal.ErrGone, err)
	}
	switch a.Code {
	case CodeOK:
	case CodeTokenExpired, CodeTokenNull, CodeToken:
		c.inbox.End()
		return fmt.Errorf("%w: %w", hal.ErrGone, a.err())
	case CodeParam, CodePublish: // it would never be taken
		return &hal.RejectedError{Err: a.err()}
	default:
		return a.err()
	}
	if len(a.Info.Data) > 0 {
		c.inbox.Put(iot.Message{Topic: single.AnswerTopic(m.Topic), Payload: a.Info.Data})
	}
	return nil
}

// post sends one request. Errors do not repeat what was sent.
func (c *conn) post(ctx context.Context, path, contentType string, body []byte) (*reply, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("https: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	if !c.token.IsZero() {
		req.Header.Set("Password", c.token.Reveal())
	}
	resp, err := c.web.Do(req)
	if err != nil {
		return nil, fmt.Errorf("https: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("https: %w", err)
	}
	return readReply(resp.StatusCode, raw)
}

var errReply = errors.New("https: the answer cannot be read")

func readReply(status int, raw []byte) (*reply, error) {
	var a reply
	if status != http.StatusOK {
		return nil, fmt.Errorf("https: status %d", status)
	}
	if json.Unmarshal(raw, &a) != nil || a.Message == "" {
		return nil, errReply
	}
	return &a, nil
}

// NoDownlink implements hal.OneWay.
func (c *conn) NoDownlink() error { return ErrNoDownlink }

// Subscribe implements hal.SubscribingConn: it fails with ErrNoDownlink.
func (c *conn) Subscribe(context.Context, []hal.Filter) ([]hal.Grant, error) {
	return nil, ErrNoDownlink
}

// Unsubscribe implements hal.SubscribingConn: it fails with ErrNoDownlink.
func (c *conn) Unsubscribe(context.Context, []string) error { return ErrNoDownlink }

// Done implements hal.Conn.
func (c *conn) Done() <-chan struct{} { return c.inbox.Done() }

// Close implements hal.Conn. It must not be called from recv.
func (c *conn) Close() error {
	c.inbox.End()
	c.inbox.Wait()
	c.web.CloseIdleConnections()
	return nil
}
