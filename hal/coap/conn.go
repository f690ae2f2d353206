// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/inbox"
	"github.com/openalink/iot/internal/single"
)

// conn is a login of a device. It implements hal.SubscribingConn, to say that
// there are no subscriptions.
type conn struct {
	client  *client
	timeout time.Duration
	inbox   *inbox.Inbox
	closing sync.Once

	token string
	// Without DTLS:
	block cipher.Block
	seq   uint64 // guarded by client's turn
}

func newConn(nc net.Conn, timeout, repeat time.Duration) *conn {
	return &conn{client: newClient(nc, repeat), timeout: timeout}
}

// login proves who the device is and notes what it gets for that.
func (c *conn) login(ctx context.Context, who credentials, symmetric bool) error {
	body, err := alink.Marshal(who.body(symmetric))
	if err != nil {
		return fmt.Errorf("coap: %w", err)
	}
	a, err := c.client.do(ctx, call{path: pathAuth, format: formatJSON, payload: body})
	switch {
	case err != nil:
		return err
	case a.code == CodeContent:
	case a.code == CodeBadRequest, a.code == CodeUnauthorized:
		return &hal.RefusedError{Reason: hal.BadCredentials, Err: a.err()}
	default:
		return &hal.RefusedError{Reason: hal.Unavailable, Err: a.err()}
	}
	var g struct {
		Token, Random string
		SeqOffset     uint64
	}
	if json.Unmarshal(a.payload, &g) != nil || g.Token == "" || symmetric && g.Random == "" {
		return errReply
	}
	c.token = g.Token
	if !symmetric {
		return nil
	}
	c.seq = g.SeqOffset
	c.block, err = aes.NewCipher(auth.CoAPKey(who.secret, g.Random))
	return err
}

var errReply = errors.New("coap: the answer cannot be read")

// Publish implements hal.Conn, with the same guarantee for every QoS: when it
// returns nil, the platform kept the message, and what answers it is on its way to
// recv. A *CodeError means that the platform did not take it; it is wrapped in a
// *hal.RejectedError if it never will. The Conn goes on unless the code is about the
// token. It ends, too, when nothing came for 15 times Transport.Repeat while requests
// waited, however short their contexts are: a platform that lost a session with DTLS
// is silent.
func (c *conn) Publish(ctx context.Context, m iot.Message) error {
	if len(m.Payload) > defaultMaxBody {
		return &hal.RejectedError{Err: &CodeError{Code: CodeTooLarge}}
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	select {
	case <-c.inbox.Done():
		return hal.ErrGone
	default:
	}
	a, err := c.ask(ctx, m)
	switch {
	case errors.Is(err, errCall), err != nil && ctx.Err() != nil && !errors.Is(err, errSilence):
		return err
	case err != nil:
		c.inbox.End()
		return fmt.Errorf("%w: %w", hal.ErrGone, err)
	case a.code == CodeUnauthorized, a.code == CodeBadOption: // what vendor firmware takes for the end of a token
		c.inbox.End()
		return fmt.Errorf("%w: %w", hal.ErrGone, a.err())
	case a.code == CodeBadRequest, a.code == CodeNotFound, a.code == CodeTooLarge: // it would never be taken
		return &hal.RejectedError{Err: a.err()}
	case a.code != CodeContent:
		return a.err()
	}
	return c.hear(m.Topic, a.payload)
}

// ask makes the request of a message and returns the whole answer. The turn is kept
// for that: the platform remembers one answer for each topic.
func (c *conn) ask(ctx context.Context, m iot.Message) (*reply, error) {
	if err := c.client.enter(ctx); err != nil {
		return nil, err
	}
	defer c.client.leave()
	a, err := c.client.do(ctx, c.post(m, 0))
	if err != nil || !a.block.more {
		return a, err
	}
	return c.rest(ctx, m.Topic, a)
}

// rest fetches what is missing of an answer that begins with a, block after block.
// The message was kept whatever becomes of its answer: one the platform has
// forgotten meanwhile is none.
func (c *conn) rest(ctx context.Context, topic string, a *reply) (*reply, error) {
	whole := a.payload
	for a.code == CodeContent && a.block.more {
		if len(a.payload) == 0 || len(whole) > maxLongAnswer || len(whole)%a.block.size() != 0 {
			return nil, errReply
		}
		next := block{num: len(whole) / a.block.size(), exp: a.block.exp}
		var err error
		a, err = c.client.do(ctx, c.post(iot.Message{Topic: topic}, next.value()))
		if err != nil {
			return nil, err
		}
		if a.code == CodeContent && a.block.num != next.num {
			return nil, errReply
		}
		whole = append(whole, a.payload...)
	}
	if a.code == CodeIncomplete {
		return &reply{code: CodeContent}, nil
	}
	if a.code != CodeContent {
		return a, nil
	}
	return &reply{code: CodeContent, payload: whole}, nil
}

// post makes the request of a message, or of the rest of its answer. It is called
// in the request's turn.
func (c *conn) post(m iot.Message, block2 int) call {
	r := call{path: pathTopic + "/" + strings.TrimPrefix(m.Topic, "/"), format: formatJSON, token: c.token, payload: m.Payload, block2: block2}
	if c.block == nil {
		return r
	}
	r.seq = seal(nil, c.block, strconv.AppendUint(nil, c.seq, 10))
	c.seq++
	if len(m.Payload) > 0 {
		r.payload = seal(nil, c.block, m.Payload)
	}
	return r
}

// hear hands over what answers a message.
func (c *conn) hear(topic string, answer []byte) error {
	if len(answer) == 0 {
		return nil
	}
	if c.block != nil {
		var err error
		if answer, err = unseal(c.block, answer); err != nil {
			return err
		}
	}
	c.inbox.Put(iot.Message{Topic: single.AnswerTopic(topic), Payload: answer})
	return nil
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
	c.closing.Do(func() { _ = c.client.nc.Close() }) // nothing is lost with it
	return nil
}
