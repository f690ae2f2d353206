// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
)

// conn is a connection of a device. It implements hal.SubscribingConn.
type conn struct {
	base, id string
	web      *wires
	timeout  time.Duration
	life     context.Context
	end      context.CancelFunc
	inbox    *inbox.Inbox
	running  sync.WaitGroup
	down     io.ReadCloser

	mu sync.Mutex // over writes
	up *io.PipeWriter
}

// maxDown is the longest line read: the largest message in base64 and what is
// around it.
const maxDown = 1 << 20

// read hands messages over until the connection ends. What is handed over is
// answered: the device has it.
func (c *conn) read() {
	defer c.inbox.End()
	defer c.end()
	lines := bufio.NewScanner(c.down)
	lines.Buffer(make([]byte, 0, 4096), maxDown)
	for lines.Scan() {
		var d down
		if json.Unmarshal(lines.Bytes(), &d) != nil || d.End != "" {
			return
		}
		if d.Topic == "" {
			continue // a ping
		}
		c.inbox.Put(iot.Message{Topic: d.Topic, Payload: d.Payload, QoS: d.QoS})
		select {
		case <-c.inbox.Done():
			return // perhaps it was not handed over
		default:
		}
		if d.Handle != "" && c.send(up{Done: []string{d.Handle}}) != nil {
			return
		}
	}
}

func (c *conn) send(u up) error {
	line, err := json.Marshal(u)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.up.Write(append(line, '\n'))
	return err
}

func (c *conn) keepAlive(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c.send(up{}) != nil {
				return
			}
		case <-c.life.Done():
			return
		}
	}
}

// post sends one request and reads the answer into out. Status errors but those of
// a connection that is no more are *StatusError.
func (c *conn) post(ctx context.Context, path string, qos iot.QoS, body []byte, out any) error {
	select {
	case <-c.inbox.Done():
		return hal.ErrGone
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)() // the end of the connection ends requests
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("http2: %w", err)
	}
	req.Header.Set(headerChannel, c.id)
	req.Header.Set("Content-Type", "application/octet-stream")
	if qos == iot.AtMostOnce {
		req.Header.Set(headerQoS, "0")
	}
	resp, err := c.web.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(out); err != nil {
			return fmt.Errorf("http2: the answer cannot be read: %w", err)
		}
		return nil
	}
	e := statusError(resp)
	if e.Status == http.StatusGone || e.Status == http.StatusInternalServerError {
		return fmt.Errorf("%w: %w", hal.ErrGone, e)
	}
	return e
}

// request is post with the errors of a hal.Conn.
func (c *conn) request(ctx context.Context, path string, qos iot.QoS, body []byte, out any) error {
	err := c.post(ctx, path, qos, body, out)
	if err == nil || ctx.Err() != nil {
		return firstError(ctx.Err(), err)
	}
	select {
	case <-c.life.Done():
		return fmt.Errorf("%w: %w", hal.ErrGone, err)
	default:
		return err
	}
}

func firstError(a, b error) error {
	if a != nil && b != nil {
		return a
	}
	return b
}

// Publish implements hal.Conn: it returns when the platform kept the message,
// whatever its QoS. A message the platform did not process fails with a
// *hal.RejectedError, and the connection goes on.
func (c *conn) Publish(ctx context.Context, m iot.Message) error {
	path := pathPublish + strings.TrimPrefix((&url.URL{Path: m.Topic}).EscapedPath(), "/")
	var answer struct{ MessageID string }
	err := c.request(ctx, path, m.QoS, m.Payload, &answer)
	if e, ok := err.(*StatusError); ok { //nolint:errorlint // not one that came with the end of the connection
		switch e.Status {
		case http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			return &hal.RejectedError{Err: e}
		case http.StatusTooManyRequests:
			return &hal.RejectedError{Err: fmt.Errorf("%w: %w", hal.ErrThrottled, e)}
		}
	}
	return err
}

// Subscribe implements hal.SubscribingConn.
func (c *conn) Subscribe(ctx context.Context, filters []hal.Filter) ([]hal.Grant, error) {
	s := subscription{Filters: make([]filter, len(filters))}
	for i, f := range filters {
		s.Filters[i] = filter{f.Topic, f.QoS}
	}
	g, err := c.change(ctx, pathSubscribe, s)
	if err != nil {
		return nil, err
	}
	grants := make([]hal.Grant, len(filters))
	for i := range grants {
		grants[i] = hal.Refused
		if i < len(g.Grants) {
			grants[i] = hal.Grant(g.Grants[i])
		}
	}
	return grants, nil
}

// Unsubscribe implements hal.SubscribingConn.
func (c *conn) Unsubscribe(ctx context.Context, filters []string) error {
	s := subscription{Filters: make([]filter, len(filters))}
	for i, f := range filters {
		s.Filters[i].Topic = f
	}
	_, err := c.change(ctx, pathUnsubscribe, s)
	return err
}

func (c *conn) change(ctx context.Context, path string, s subscription) (granted, error) {
	var g granted
	if len(s.Filters) == 0 {
		return g, nil
	}
	body, err := json.Marshal(s)
	if err != nil {
		return g, fmt.Errorf("http2: %w", err)
	}
	return g, c.request(ctx, path, iot.AtLeastOnce, body, &g)
}

// Done implements hal.Conn.
func (c *conn) Done() <-chan struct{} { return c.inbox.Done() }

// goodbye is how long the platform may take to answer the end of a connection.
const goodbye = time.Second

// Close implements hal.Conn. It must not be called from recv.
func (c *conn) Close() error {
	_ = c.up.Close() // a pipe's never fails; the platform hears the end of the body
	late := time.AfterFunc(goodbye, c.end)
	defer late.Stop()
	c.inbox.End()
	c.running.Wait()
	c.inbox.Wait()
	_ = c.down.Close() // it ended
	c.web.close()
	return nil
}
