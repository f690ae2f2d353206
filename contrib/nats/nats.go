// SPDX-License-Identifier: Apache-2.0

// Package nats is a rules.Sink for streams of NATS JetStream.
package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/define"
)

// Options of a Sink.
type Options struct {
	// Subject begins the subject of each message, which goes on with the product and
	// the device: "rows.a1Lamps0001.lamp-1". A stream must take them ("rows.>").
	Subject string
}

// Sink publishes rows to JetStream and waits until they are stored. The message id
// is the idempotency key, so that the stream drops what comes twice within its
// window. The headers Message-Id and Topic say where a row is from. It is safe for
// concurrent use.
type Sink struct {
	js      jetstream.JetStream
	subject string
	conn    *nats.Conn // closed with the sink; nil when it is the caller's
}

// New returns a sink over a connection, which belongs to the caller.
func New(conn *nats.Conn, o Options) (*Sink, error) {
	if o.Subject == "" || strings.ContainsAny(o.Subject, "*> \t\r\n") {
		return nil, fmt.Errorf("nats: subject %q: one without wildcards is needed", o.Subject)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	return &Sink{js: js, subject: o.Subject}, nil
}

// Send implements rules.Sink.
func (s *Sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	waiting := make([]jetstream.PubAckFuture, 0, len(batch))
	for _, d := range batch {
		m := nats.NewMsg(s.subject + "." + token(d.Message.Device.Product) + "." + token(d.Message.Device.Name))
		m.Data = d.Payload
		m.Header.Set("Message-Id", strconv.FormatInt(d.Message.ID, 10))
		m.Header.Set("Topic", d.Message.Topic)
		f, err := s.js.PublishMsgAsync(m, jetstream.WithMsgID(d.Key))
		if err != nil {
			return judge(err)
		}
		waiting = append(waiting, f)
	}
	for _, f := range waiting {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return judge(err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// judge: a message over the server's bound stays over it.
func judge(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return rules.Permanent(fmt.Errorf("nats: %w", err))
	}
	return fmt.Errorf("nats: %w", err)
}

// token makes a name one token of a subject: what has a meaning there becomes _.
func token(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.', '*', '>', ' ', '\t', '\r', '\n':
			return '_'
		}
		return r
	}, name)
}

// Close ends the connection that Kind made.
func (s *Sink) Close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	return nil
}

// Kind is the kind of action "nats" for rules in JSON, with the members url and
// subject. The connection is made when the server can be reached.
func Kind(action json.RawMessage) (rules.Sink, error) {
	var in struct {
		URL     string `json:"url"`
		Subject string `json:"subject"`
	}
	if err := define.Decode(action, &in); err != nil {
		return nil, err
	}
	conn, err := nats.Connect(in.URL, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		return nil, errors.New("nats: the URL is not understood") // it may hold a password
	}
	s, err := New(conn, Options{Subject: in.Subject})
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.conn = conn
	return s, nil
}
