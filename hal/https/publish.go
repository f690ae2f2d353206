// SPDX-License-Identifier: Apache-2.0

package https

import (
	"bytes"
	"net/http"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/single"
)

// exchange is a message under way and what becomes of it. It is used again and
// again, so that a request allocates little.
type exchange struct {
	body   bytes.Buffer
	answer []byte
	err    error
	done   chan struct{}              // capacity 1
	finish func([]iot.Message, error) // bound once
}

func newExchange() any {
	x := &exchange{done: make(chan struct{}, 1)}
	x.finish = func(answers []iot.Message, err error) {
		x.err = err
		if len(answers) > 0 {
			x.answer = append(x.answer, answers[0].Payload...)
		}
		x.done <- struct{}{}
	}
	return x
}

// maxPooled keeps an unusually large buffer from staying in memory.
const maxPooled = 16 << 10

func (h *Handler) exchange() *exchange {
	x, _ := h.exchanges.Get().(*exchange)
	return x
}

func (h *Handler) recycle(x *exchange) {
	if x.body.Cap()+cap(x.answer) > maxPooled {
		return
	}
	x.body.Reset()
	x.answer, x.err = x.answer[:0], nil
	h.exchanges.Put(x)
}

// publish serves /topic/{topic}. A message counts as QoS 1: the response follows
// the commit.
func (h *Handler) publish(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("password")
	if token == "" {
		h.refuse(w, r, CodeTokenNull)
		return
	}
	x := h.exchange()
	if h.carry(w, r, token, x) { // nor after a panic
		h.recycle(x)
	}
}

// carry reports false when the client went away, and x is the platform's still.
func (h *Handler) carry(w http.ResponseWriter, r *http.Request, token string, x *exchange) bool {
	topic := r.URL.Path[len(pathTopic)-1:]
	if len(topic) == 1 || r.ContentLength > int64(h.cfg.MaxBody) {
		h.refuse(w, r, CodeParam)
		return true
	}
	session, err := h.enter(r, token) // before a byte of the body takes memory
	if err != nil {
		h.refuse(w, r, tokenCode(err))
		return true
	}
	if !h.body(w, r, &x.body, h.cfg.MaxBody) {
		session.Close(hal.CauseClient)
		fail(w, CodeParam)
		return true
	}
	session.Receive(r.Context(), iot.Message{Topic: topic, Payload: single.Payload(topic, x.body.Bytes()), QoS: iot.AtLeastOnce}, x.finish)
	select {
	case <-x.done:
		session.Close(hal.CauseClient)
	case <-r.Context().Done():
		session.Close(hal.CauseReset)
		return false
	}
	if x.err != nil {
		fail(w, publishCode(x.err))
		return true
	}
	var id int64
	if n, ok := session.(hal.Numbered); ok {
		id = n.MessageID()
	}
	kept(w, x.body.Bytes(), id, x.answer)
	return true
}

// enter opens the session of one request.
func (h *Handler) enter(r *http.Request, token string) (hal.Session, error) {
	acc, err := h.cfg.Platform.Connect(r.Context(), &hal.ConnectRequest{
		Protocol: "http", Version: byte(r.ProtoMajor), Kind: hal.Request, Credential: auth.NewToken(token),
		TLS: r.TLS, RemoteAddr: addr(r.RemoteAddr), Link: single.Link{},
	})
	if err != nil {
		return nil, err
	}
	return acc.Session, nil
}
