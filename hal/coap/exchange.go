// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"bytes"
	"context"
	"hash/maphash"
	"runtime/debug"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/single"
)

// The paths served.
const (
	pathAuth  = "/auth"
	pathTopic = "/topic"
)

// exchange is a request on its way to its response. It owns the datagram and one
// of the server's slots.
type exchange struct {
	s        *Server
	p        *peer
	datagram *[]byte
	r        request
	mark     mark
	aes      *session    // nil when the payload came as it is
	platform hal.Session // nil when the platform was not asked
	done     chan outcome
	expired  <-chan struct{}
	cancel   context.CancelFunc
	taken    bool // the platform has the payload
	finished bool
}

// outcome is what became of a message.
type outcome struct {
	answer []byte
	err    error
}

// begin takes a datagram from a client up to the point where only the platform is
// waited for; then it returns the exchange, for await. Messages of one client are
// begun in the order they came.
func (s *Server) begin(ctx context.Context, p *peer, datagram *[]byte) (waiting *exchange) {
	x := &exchange{s: s, p: p, datagram: datagram}
	if !x.parse() {
		p.rubbish(*datagram)
		x.release()
		return nil
	}
	x.mark = mark{x.r.id, maphash.Bytes(s.seed, *datagram)} // before it is decrypted in place
	if !p.first(x.mark) {
		x.release()
		return nil
	}
	ctx, x.cancel = context.WithTimeout(ctx, s.cfg.Timeout)
	x.expired = ctx.Done()
	defer x.recovered()
	a, answered := x.start(ctx)
	if answered {
		x.finish(a)
		return nil
	}
	return x
}

func (x *exchange) parse() (ok bool) {
	defer func() { // nothing else is at the root of a goroutine yet
		if v := recover(); v != nil {
			x.s.cfg.Logger.Error("datagram panicked", "panic", v, "stack", string(debug.Stack()))
			ok = false
		}
	}()
	space, _ := x.s.options.Get().(*[maxOptions]message.Option)
	x.r, ok = parseRequest(*x.datagram, space)
	x.s.options.Put(space)
	return ok
}

// recovered is deferred: a panic of the platform's costs one request.
func (x *exchange) recovered() {
	if v := recover(); v != nil {
		x.s.cfg.Logger.Error("request panicked", "path", x.r.path, "panic", v, "stack", string(debug.Stack()))
		if !x.finished {
			x.finish(failed(CodeInternal))
		}
	}
}

// start answers what can be, or hands the message to the platform.
func (x *exchange) start(ctx context.Context) (a response, answered bool) {
	r := &x.r
	path := strings.TrimSuffix(r.path, "/") // some clients end paths so
	isTopic := strings.HasPrefix(path, pathTopic+"/")
	switch {
	case path != pathAuth && !isTopic:
		return failed(CodeNotFound), true
	case !r.post:
		return failed(CodeMethodNotAllowed), true
	case r.unknown:
		return failed(CodeBadOption), true
	case r.blocks, len(r.payload) > x.s.cfg.MaxBody+len(aesIV), len(*x.datagram) == cap(*x.datagram): // the end may be cut off
		return failed(CodeTooLarge), true
	case !isTopic:
		return x.s.login(ctx, x.p, r), true
	}
	token, code := x.open()
	if code != CodeContent {
		return failed(code), true
	}
	if len(r.payload) > x.s.cfg.MaxBody {
		return failed(CodeTooLarge), true
	}
	if r.block2.num > 0 {
		return x.further(ctx, token, path), true
	}
	return x.publish(ctx, token, strings.TrimPrefix(path, pathTopic))
}

// open finds the token the platform knows, and decrypts the request if that is
// due.
func (x *exchange) open() (auth.Token, Code) {
	r := &x.r
	if len(r.login) == 0 {
		return auth.Token{}, CodeUnauthorized
	}
	if x.p.secure {
		return auth.NewToken(r.login), CodeContent
	}
	if s := x.s.sessions.find(r.login); s != nil {
		x.aes = s
		return auth.NewToken(s.token.Reveal()), s.open(r)
	}
	if !x.s.cfg.Cleartext {
		return auth.Token{}, CodeUnauthorized
	}
	return auth.NewToken(r.login), CodeContent
}

// publish hands a message to the platform. It counts as QoS 1: the response
// follows the commit.
func (x *exchange) publish(ctx context.Context, token auth.Token, topic string) (a response, answered bool) {
	c := &hal.ConnectRequest{Protocol: "coap", Version: 1, Kind: hal.Request, Credential: token, Link: single.Link{}}
	if x.p.secure {
		c.RemoteAddr = x.p.remote()
	}
	acc, err := x.s.cfg.Platform.Connect(ctx, c)
	if err != nil {
		return failed(tokenCode(err)), true
	}
	x.p.known.Store(true)
	x.platform, x.done, x.taken = acc.Session, make(chan outcome, 1), true
	m := iot.Message{Topic: topic, Payload: single.Payload(topic, x.r.payload), QoS: iot.AtLeastOnce}
	x.platform.Receive(ctx, m, func(answers []iot.Message, err error) {
		o := outcome{err: err}
		if len(answers) > 0 {
			o.answer = bytes.Clone(answers[0].Payload)
		}
		x.done <- o
	})
	return a, false
}

// await waits for the platform and answers.
func (x *exchange) await() {
	defer x.recovered()
	select {
	case o := <-x.done:
		x.taken = false
		x.close(hal.CauseClient)
		if o.err != nil {
			x.finish(failed(publishCode(o.err)))
			return
		}
		x.finish(x.kept(o.answer))
	case <-x.expired: // the bytes are the platform's until done
		x.close(hal.CauseReset)
		x.finish(failed(CodeInternal))
	}
}

// close ends the session of the request, once.
func (x *exchange) close(c hal.Cause) {
	if s := x.platform; s != nil {
		x.platform = nil
		s.Close(c)
	}
}

// kept answers a message, with what answers it if that is short enough.
func (x *exchange) kept(answer []byte) response {
	if len(answer) == 0 || len(answer) > maxLongAnswer {
		return response{code: CodeContent, format: -1, block: -1}
	}
	format := formatJSON
	if answer[0] != '{' {
		format = int(message.AppOctets)
	}
	return response{CodeContent, format, -1, answer}
}

// further answers with a block of an earlier answer.
func (x *exchange) further(ctx context.Context, token auth.Token, path string) response {
	if _, err := x.s.cfg.Platform.VerifyToken(ctx, token, auth.UseRequests); err != nil {
		return failed(tokenCode(err))
	}
	a := x.s.long.find(x.p, path, string(x.r.login))
	if a == nil {
		return failed(CodeIncomplete)
	}
	part, b, ok := cut(a.payload, x.r.block2)
	if !ok {
		return failed(CodeBadRequest)
	}
	return response{CodeContent, a.format, b.value(), part}
}

// shorten has an answer that is too long leave in blocks, and returns the first.
func (x *exchange) shorten(a response) response {
	if len(a.payload) <= min(x.r.block2.size(), blockSize) {
		return a
	}
	x.s.long.keep(&longAnswer{peer: x.p, path: strings.TrimSuffix(x.r.path, "/"), login: string(x.r.login), format: a.format, payload: a.payload})
	part, b, _ := cut(a.payload, x.r.block2)
	return response{a.code, a.format, b.value(), part}
}

func failed(c Code) response { return response{c, -1, -1, []byte(c.text())} }

// finish sends the response and gives everything back.
func (x *exchange) finish(a response) {
	x.finished = true
	defer x.release()
	defer x.cancel()
	x.close(hal.CauseReset)
	if x.aes != nil && len(a.payload) > 0 {
		if a.code == CodeContent {
			if a.block < 0 { // blocks are parts of what was sealed
				a.payload = seal(nil, x.aes.block, a.payload)
			}
		} else {
			a.payload = nil
		}
	}
	if x.done != nil && a.code == CodeContent { // it answers a message
		a = x.shorten(a)
	}
	raw := a.append(make([]byte, 0, 16+len(a.payload)), &x.r, uint16(x.s.lastID.Add(1)))
	x.p.answer(x.mark, raw)
}

// release gives back the datagram and the slot.
func (x *exchange) release() {
	if !x.taken {
		x.s.recycle(x.datagram)
	}
	<-x.s.slots
	x.p.leave()
}

// rubbish answers what is no request: pings and what cannot be read are reset,
// everything else is passed over.
func (p *peer) rubbish(datagram []byte) {
	h, ok := headerOf(datagram)
	if ok && h.typ == message.Confirmable && h.code&^31 == byte(codes.Empty) {
		p.send(reset(h.id))
	}
}
