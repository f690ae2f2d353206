// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

// client makes requests one after the other (RFC 7252 section 4.7: NSTART is 1);
// whoever makes one reads the socket.
type client struct {
	nc     net.Conn
	repeat time.Duration
	turn   chan struct{} // holds whose turn it is

	id    uint16
	token uint32
	buf   []byte

	silence time.Duration // for which requests waited since anything came
	since   time.Time     // from when on the request in progress waits in silence
}

func newClient(nc net.Conn, repeat time.Duration) *client {
	c := &client{nc: nc, repeat: repeat, turn: make(chan struct{}, 1), id: uint16(rand.Uint32()), token: rand.Uint32(), buf: make([]byte, 4096)}
	c.turn <- struct{}{}
	return c
}

// call is a request.
type call struct {
	path    string
	format  byte
	token   string // of the login
	seq     []byte
	payload []byte
	block2  int // which part of an answer is wanted, as the option says it; 0 for the beginning
}

// reply is an answer of the platform. Its payload belongs to who asked.
type reply struct {
	code    Code
	payload []byte
	block   block // zero when it is whole
}

func (a *reply) err() error { return &CodeError{Code: a.code, Text: string(a.payload)} }

// maxRepeats is how often a request is sent again (RFC 7252 section 4.8), and
// maxSilence for how many times the first wait nothing may come while requests wait:
// as long as the repeats of one request take.
const (
	maxRepeats = 4
	maxSilence = 1<<maxRepeats - 1
)

var (
	errCall       = errors.New("coap: not a request")
	errNoResponse = errors.New("coap: no response")
	// errSilence means that the other end does not know the session any more, or is not
	// there: nothing came for too long. Requests whose contexts end sooner count
	// together.
	errSilence = errors.New("coap: silence")
	errReset   = errors.New("coap: request was reset")
)

// enter waits for a turn. After leave it is another's.
func (c *client) enter(ctx context.Context) error {
	select {
	case <-c.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *client) leave() { c.turn <- struct{}{} }

// do makes a request, in its turn, and returns the answer. The error wraps errCall
// when the request cannot be made, errSilence when there is nobody.
func (c *client) do(ctx context.Context, r call) (*reply, error) {
	c.id++
	c.token++
	datagram, err := c.encode(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCall, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	c.since = time.Now()
	a, err := c.exchange(ctx, datagram)
	c.silence += time.Since(c.since)
	if err != nil && c.silence > maxSilence*c.repeat {
		err = fmt.Errorf("%w: %w", errSilence, err)
	}
	return a, err
}

func (c *client) encode(r call) ([]byte, error) {
	var token [4]byte
	binary.LittleEndian.PutUint32(token[:], c.token)
	var options message.Options
	for segment := range strings.SplitSeq(r.path[1:], "/") {
		if len(segment) > 255 {
			return nil, errors.New("a level of the topic is longer than 255 bytes")
		}
		options = append(options, message.Option{ID: message.URIPath, Value: []byte(segment)})
	}
	options = append(options, message.Option{ID: message.ContentFormat, Value: []byte{r.format}})
	if r.token == "" {
		options = append(options, message.Option{ID: message.Accept, Value: []byte{r.format}})
	}
	if r.block2 > 0 {
		options = append(options, message.Option{ID: message.Block2, Value: []byte{byte(r.block2 >> 16), byte(r.block2 >> 8), byte(r.block2)}})
	}
	if r.token != "" {
		options = append(options, message.Option{ID: optionTokenOld, Value: []byte(r.token)})
	}
	if r.seq != nil {
		options = append(options, message.Option{ID: optionSeq, Value: r.seq})
	}
	m := message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: int32(c.id), Token: token[:], Options: options, Payload: r.payload}
	size, err := coder.DefaultCoder.Size(m)
	if err != nil {
		return nil, err
	}
	datagram := make([]byte, size)
	_, err = coder.DefaultCoder.Encode(m, datagram)
	return datagram, err
}

// exchange sends a datagram, again and again, until it is answered.
func (c *client) exchange(ctx context.Context, datagram []byte) (*reply, error) {
	wait := c.repeat + rand.N(c.repeat/2+1)
	silent := true // not even acknowledged
	for n := 0; ; n++ {
		if silent {
			if _, err := c.nc.Write(datagram); err != nil {
				return nil, cause(ctx, err)
			}
		}
		a, err := c.await(ctx, time.Now().Add(wait), &silent)
		if a != nil || err != nil {
			return a, err
		}
		if n >= maxRepeats {
			return nil, errNoResponse
		}
		wait *= 2
	}
}

// await reads until the answer is there or the time is over, when it returns
// nothing.
func (c *client) await(ctx context.Context, until time.Time, silent *bool) (*reply, error) {
	if err := c.nc.SetReadDeadline(until); err != nil {
		return nil, cause(ctx, err)
	}
	if ctx.Err() != nil { // it ended before the deadline was set
		return nil, ctx.Err()
	}
	for {
		n, err := c.nc.Read(c.buf)
		timeout, ok := errors.AsType[net.Error](err)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case ok && timeout.Timeout():
			return nil, nil //nolint:nilnil // nothing yet
		default:
			return nil, cause(ctx, err)
		}
		if a, err := c.read(c.buf[:n], silent); a != nil || err != nil {
			return a, err
		}
	}
}

// read looks at a datagram and returns the answer if it is one to the request in
// progress.
func (c *client) read(datagram []byte, silent *bool) (*reply, error) {
	var space [maxOptions]message.Option
	m := message.Message{Options: space[:0]}
	if _, err := coder.DefaultCoder.Decode(datagram, &m); err != nil {
		return nil, nil //nolint:nilnil // not for us
	}
	c.silence, c.since = 0, time.Now()
	mine := uint16(m.MessageID) == c.id
	switch {
	case m.Type == message.Reset && mine:
		return nil, errReset
	case m.Type == message.Acknowledgement && m.Code == codes.Empty && mine:
		*silent = false // the response comes separately
		return nil, nil //nolint:nilnil
	case m.Type == message.Confirmable:
		ack := []byte{1<<6 | byte(message.Acknowledgement)<<4, 0, byte(m.MessageID >> 8), byte(m.MessageID)}
		_, _ = c.nc.Write(ack) // it will come again
	}
	if m.Code < 64 || len(m.Token) != 4 || binary.LittleEndian.Uint32(m.Token) != c.token {
		return nil, nil //nolint:nilnil // late, or not ours
	}
	a := &reply{code: Code(m.Code), payload: append([]byte(nil), m.Payload...)}
	if n, err := m.Options.GetUint32(message.Block2); err == nil {
		a.block = blockOf(int(n))
	}
	return a, nil
}

// cause prefers the end of the context to what followed from it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("coap: %w", err)
}
