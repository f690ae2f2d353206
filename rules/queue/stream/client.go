// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
)

// Options of a Consumer.
type Options struct {
	// Client makes the request; nil means one that speaks HTTP/2, without TLS too.
	// Its Timeout must be zero.
	Client *http.Client
	// Header is sent along, for authorisation.
	Header http.Header
}

// Consumer is the client's end of a stream. It is safe for concurrent use, but for
// Messages, which one goroutine ranges over.
type Consumer struct {
	body   io.ReadCloser
	cancel context.CancelFunc

	mu sync.Mutex
	up *io.PipeWriter
}

// Message is a message of the stream.
type Message struct {
	ID      int64
	Topic   string
	Device  iot.DeviceID
	Time    time.Time
	QoS     iot.QoS
	Tries   int
	Payload []byte

	handle   string
	consumer *Consumer
}

// Open joins a group by its URL, such as
// http://127.0.0.1:8080/api/v1/groups/billing/stream. The stream lives until Close
// or the end of ctx.
func Open(ctx context.Context, url string, o Options) (*Consumer, error) {
	client := o.Client
	if client == nil {
		var p http.Protocols
		p.SetHTTP2(true)
		p.SetUnencryptedHTTP2(true)
		client = &http.Client{Transport: &http.Transport{Protocols: &p}}
	}
	ctx, cancel := context.WithCancel(ctx)
	answers, up := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, answers)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("stream: %w", err)
	}
	for name, values := range o.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("stream: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		cancel()
		_ = resp.Body.Close()
		return nil, fmt.Errorf("stream: status %d: %s", resp.StatusCode, strings.TrimSpace(string(text)))
	}
	return &Consumer{body: resp.Body, up: up, cancel: cancel}, nil
}

// maxDown is the longest line a server sends: a message of 256 KB in base64.
const maxDown = 1 << 20

// Messages yields messages until the stream ends: with the error that ended it, or
// without one when the server left.
func (c *Consumer) Messages() iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		lines := bufio.NewScanner(c.body)
		lines.Buffer(make([]byte, 0, 64<<10), maxDown)
		for lines.Scan() {
			var d down
			if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
				yield(nil, fmt.Errorf("%w: %w", ErrLine, err))
				return
			}
			if d.Handle == "" {
				continue // a ping, or an answer that came too late
			}
			id, _ := strconv.ParseInt(d.MessageID, 10, 64)
			m := &Message{
				ID: id, Topic: d.Topic, Device: iot.DeviceID{Product: d.ProductKey, Name: d.DeviceName}, Time: time.UnixMilli(d.Time),
				QoS: iot.QoS(d.QoS), Tries: d.Tries, Payload: d.Payload, handle: d.Handle, consumer: c,
			}
			if !yield(m, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, fmt.Errorf("stream: %w", err))
		}
	}
}

func (c *Consumer) send(a up) error {
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.up.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return nil
}

// Done says that the message needs nothing more.
func (m *Message) Done() error { return m.consumer.send(up{Done: []string{m.handle}}) }

// Again gives the message back: it comes again after delay.
func (m *Message) Again(delay time.Duration) error {
	return m.consumer.send(up{Again: []string{m.handle}, Delay: delay.Milliseconds()})
}

// Later lifts the deadline for the answer.
func (m *Message) Later() error { return m.consumer.send(up{Later: []string{m.handle}}) }

// Close leaves the group. What was not answered goes to others.
func (c *Consumer) Close() error {
	_ = c.up.Close() // a pipe's never fails
	c.cancel()
	return c.body.Close()
}
