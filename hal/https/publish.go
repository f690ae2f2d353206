// SPDX-License-Identifier: Apache-2.0

package https

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// outcome is what became of a message.
type outcome struct {
	answer []byte
	err    error
}

// publish serves /topic/{topic}. A message counts as QoS 1: the response follows
// the commit.
func (h *Handler) publish(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("password")
	if token == "" {
		fail(w, CodeTokenNull)
		return
	}
	topic := r.URL.Path[len(pathTopic)-1:]
	b := h.buffer()
	if len(topic) == 1 || !h.body(w, r, b, h.cfg.MaxBody) {
		h.recycle(b)
		fail(w, CodeParam)
		return
	}
	session, err := h.enter(r, token)
	if err != nil {
		h.recycle(b)
		fail(w, tokenCode(err))
		return
	}
	m := iot.Message{Topic: topic, Payload: withoutNUL(topic, b.Bytes()), QoS: iot.AtLeastOnce}
	done := make(chan outcome, 1)
	session.Receive(r.Context(), m, func(answers []iot.Message, err error) {
		o := outcome{err: err}
		if len(answers) > 0 {
			o.answer = bytes.Clone(answers[0].Payload)
		}
		done <- o
	})
	select {
	case o := <-done:
		h.recycle(b)
		session.Close(hal.CauseClient)
		answer(w, session, o)
	case <-r.Context().Done(): // the bytes are the platform's until done
		session.Close(hal.CauseReset)
	}
}

// enter opens the session of one request.
func (h *Handler) enter(r *http.Request, token string) (hal.Session, error) {
	acc, err := h.cfg.Platform.Connect(r.Context(), &hal.ConnectRequest{
		Protocol: "http", Version: byte(r.ProtoMajor), Kind: hal.Request, Credential: auth.NewToken(token),
		TLS: r.TLS, RemoteAddr: addr(r.RemoteAddr), Link: noLink{},
	})
	if err != nil {
		return nil, err
	}
	return acc.Session, nil
}

func answer(w http.ResponseWriter, s hal.Session, o outcome) {
	if o.err != nil {
		fail(w, publishCode(o.err))
		return
	}
	var id int64
	if n, ok := s.(hal.Numbered); ok {
		id = n.MessageID()
	}
	kept(w, id, o.answer)
}

// withoutNUL drops the zero bytes behind JSON: on topics of the platform always,
// on custom ones when JSON is in front of them. Raw data keeps its bytes.
func withoutNUL(topic string, payload []byte) []byte {
	if len(payload) == 0 || payload[len(payload)-1] != 0 || strings.HasSuffix(topic, "_raw") {
		return payload
	}
	text := trimNUL(payload)
	for _, prefix := range [...]string{"/sys/", "/ota/", "/shadow/", "/ext/"} {
		if strings.HasPrefix(topic, prefix) {
			return text
		}
	}
	if json.Valid(text) {
		return text
	}
	return payload
}
