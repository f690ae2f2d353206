// SPDX-License-Identifier: Apache-2.0

// Package webhook is a rules.Sink that posts rows to a URL.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/openalink/iot/rules"
)

// Options of a Sink. The zero Options are useful.
type Options struct {
	// Client makes the requests; nil means one of the sink's own. It must not follow
	// redirects by itself if the rows are confidential.
	Client *http.Client
	// Header is added to each request.
	Header http.Header
	// Tencent, when set, sends Tencent's form of the body and signs it.
	Tencent *Tencent
}

// Sink posts each row, one request each. The body is the row; the headers
// Idempotency-Key, Message-Id, Topic and Device say where it is from. Any status
// of 200 to 299 takes the row. 408, 425, 429 and from 500 on are tried again; every
// other one is permanent.
//
// A Sink is safe for concurrent use.
type Sink struct {
	url     string
	options Options
	client  *http.Client
}

// New returns a sink that posts to url.
func New(url string, o Options) *Sink {
	s := &Sink{url: url, options: o, client: o.Client}
	if s.client == nil {
		s.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return s
}

// Send implements rules.Sink.
func (s *Sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	for _, d := range batch {
		if err := s.post(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sink) post(ctx context.Context, d *rules.Delivery) error {
	body := d.Payload
	if s.options.Tencent != nil {
		body = tencentBody(d)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return rules.Permanent(fmt.Errorf("webhook: %w", err))
	}
	for name, values := range s.options.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", contentType(body))
	req.Header.Set("Idempotency-Key", d.Key)
	req.Header.Set("Message-Id", strconv.FormatInt(d.Message.ID, 10))
	req.Header.Set("Topic", d.Message.Topic)
	req.Header.Set("Device", d.Message.Device.String())
	if s.options.Tencent != nil {
		s.options.Tencent.sign(req)
	}
	return s.do(req)
}

func contentType(body []byte) string {
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		return "application/json"
	}
	return "application/octet-stream"
}

// maxAnswer is how much of an answer is read, so that the connection can be used
// again.
const maxAnswer = 64 << 10

func (s *Sink) do(req *http.Request) error {
	resp, err := s.client.Do(req)
	if err != nil {
		if errors.Is(err, context.Canceled) && req.Context().Err() != nil {
			return req.Context().Err()
		}
		return fmt.Errorf("webhook: %w", err)
	}
	defer resp.Body.Close()
	head, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return judge(resp.StatusCode, head)
}

// judge turns a status into an error.
func judge(status int, body []byte) error {
	if status >= 200 && status < 300 {
		return nil
	}
	err := fmt.Errorf("webhook: status %d: %.200q", status, body)
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return err
	}
	return rules.Permanent(err)
}
